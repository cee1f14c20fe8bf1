//! How the smallest parts of records are encoded.

use std::{collections::BTreeMap, str::FromStr};

use bincode::{
    BorrowDecode, Decode, Encode,
    de::{BorrowDecoder, Decoder},
    enc::Encoder,
    error::{DecodeError, EncodeError},
};
use chrono::{DateTime, Utc};

use super::Stored;
use crate::{
    branch::{BranchState, InitSource, RestoreStatus},
    deletion::DeletionMethod,
    endpoint::{ComputeState, EndpointKind},
    id::{AccountId, ApiKeyId, BranchId, EndpointId, ProjectId, SnapshotId},
    key_ring::PasswordKeyId,
    name::{AccountName, BranchName, DatabaseName, EndpointName, KeyName, ProjectName, RoleName, SnapshotName},
    operation::{OperationAction, OperationStatus},
    role::RoleLogin,
    scram::ScramVerifier,
    text_map::TextMap,
    units::ComputeUnits,
};

/// An instant, stored as microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

/// A whole record, with its format, as a part of another one: stored as its bytes, so that it can get another format.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Whole<R>(pub(crate) R);

impl<R: Stored> Encode for Whole<R> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        super::encode(&self.0).map_err(EncodeError::OtherString)?.encode(encoder)
    }
}

impl<C, R: Stored> Decode<C> for Whole<R> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let bytes = Vec::<u8>::decode(decoder)?;
        super::decode(&bytes).map(Self).map_err(DecodeError::OtherString)
    }
}

impl<'de, C, R: Stored> BorrowDecode<'de, C> for Whole<R> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// Stores a type by way of a simpler one: `$to` makes the stored value, `$from` checks it when it is read.
macro_rules! stored_as {
    ($stored:ty, $($type:ty: $to:expr, $from:expr;)*) => {$(
        impl Encode for $type {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                let to: fn(&$type) -> _ = $to;
                to(self).encode(encoder)
            }
        }

        impl<C> Decode<C> for $type {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                let from: fn($stored) -> Result<$type, String> = $from;
                from(<$stored>::decode(decoder)?).map_err(DecodeError::OtherString)
            }
        }

        impl<'de, C> BorrowDecode<'de, C> for $type {
            fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                Self::decode(decoder)
            }
        }
    )*};
}

/// Stores a type as its text, which is parsed where it lies.
macro_rules! stored_as_text {
    ($($type:ident.$text:ident)*) => {$(
        impl Encode for $type {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                self.$text().encode(encoder)
            }
        }

        impl<C> Decode<C> for $type {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                parse(&String::decode(decoder)?, stringify!($type))
            }
        }

        impl<'de, C> BorrowDecode<'de, C> for $type {
            fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                parse(<&str>::borrow_decode(decoder)?, stringify!($type))
            }
        }
    )*};
}

fn parse<T: FromStr>(text: &str, name: &str) -> Result<T, DecodeError> {
    text.parse().map_err(|_| DecodeError::OtherString(format!("not a {name}: {} bytes of text", text.len())))
}

stored_as_text! {
    ProjectId.as_str BranchId.as_str EndpointId.as_str SnapshotId.as_str
    AccountName.as_str KeyName.as_str ProjectName.as_str BranchName.as_str RoleName.as_str DatabaseName.as_str
    EndpointName.as_str SnapshotName.as_str
    ScramVerifier.expose
}

stored_as! {
    u64,
    AccountId: |id| id.get(), |number| Ok(AccountId::new(number));
    ApiKeyId: |id| id.get(), |number| Ok(ApiKeyId::new(number));
    PasswordKeyId: |id| id.get(), |number| Ok(PasswordKeyId::new(number));
}

stored_as! {
    u16,
    ComputeUnits: |units| units.quarters(), |quarters| {
        ComputeUnits::from_quarters(quarters).ok_or_else(|| format!("no size of a compute: {quarters} quarters"))
    };
}

stored_as! {
    BTreeMap<String, String>,
    TextMap: |map| map.as_map().clone(), |map| TextMap::new(map).map_err(|error| error.to_string());
}

stored_as! {
    i64,
    Time: |time| time.0.timestamp_micros(), |micros| {
        DateTime::from_timestamp_micros(micros).map(Time).ok_or_else(|| format!("no instant: {micros} microseconds"))
    };
}

macro_rules! stored_as_number {
    ($($type:ident { $($variant:ident = $number:literal),* $(,)? })*) => {
        stored_as! {
            u8, $($type: |value| match value {
                $($type::$variant => $number as u8,)*
            }, |number| match number {
                $($number => Ok($type::$variant),)*
                other => Err(format!("no {} has the number {other}", stringify!($type))),
            };)*
        }
    };
}

stored_as_number! {
    BranchState { Init = 0, Ready = 1, Resetting = 2 }
    InitSource { ParentData = 0, SchemaOnly = 1 }
    RestoreStatus { Restored = 0, Finalized = 1 }
    DeletionMethod { User = 0, Ttl = 1 }
    EndpointKind { ReadWrite = 0, ReadOnly = 1 }
    ComputeState { Init = 0, Active = 1, Idle = 2 }
    RoleLogin { Password = 0, NoLogin = 1 }
    OperationAction {
        CreateTimeline = 0,
        CreateBranch = 1,
        StartCompute = 2,
        ApplyConfig = 3,
        SuspendCompute = 4,
        DeleteTimeline = 5,
        SyncRoles = 6,
        ApplyStorageConfig = 7,
    }
    OperationStatus {
        Scheduling = 0,
        Running = 1,
        Finished = 2,
        Failed = 3,
        Cancelled = 4,
        Error = 5,
        Skipped = 6,
    }
}
