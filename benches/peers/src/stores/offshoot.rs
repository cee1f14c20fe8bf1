//! Offshoot's own store, without the engine above it.

use std::path::Path;

use bytes::Bytes;
use offshoot_benches::Outcome;
use offshoot_engine::{
    SledOptions, SledStore,
    storage::{Commit, Store, Submitted, View, Write},
};

use super::Racer;
use crate::puts::Puts;

pub(crate) struct Offshoot(SledStore);

impl Racer for Offshoot {
    fn open(directory: &Path) -> Outcome<Self> {
        Ok(Self(SledStore::open(directory, &SledOptions::default())?))
    }

    fn commit(&self, puts: &Puts) -> Outcome<()> {
        let bytes = Bytes::copy_from_slice;
        let writes = vec![
            Write::Create(bytes(&puts.new.0), bytes(&puts.new.1)),
            Write::Put(bytes(&puts.head.0), bytes(&puts.head.1)),
        ];
        match self.0.submit(Commit { conditions: Vec::new(), writes })? {
            Submitted::Applied(ticket) => Ok(self.0.wait(ticket)?),
            Submitted::Conflict => Err("a commit without conditions cannot conflict".into()),
        }
    }

    fn get(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        Ok(self.0.get(View::Durable, key)?.map(|value| value.to_vec()))
    }
}
