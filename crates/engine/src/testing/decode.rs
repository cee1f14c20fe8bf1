//! What decoders must do with any bytes, and the engine with any operations; the fuzz targets and ordinary tests call these.

use bincode::{Decode, Encode};
use bytes::Bytes;
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::steps::{Step, check_against_model, step};
use crate::{
    Lsn, MemoryStore, Options,
    codec::{self, envelope, record},
    store::dump::{DumpInfo, DumpReader, DumpWriter, format},
    tree::Node,
};

/// How many bytes name one step: those that are changed, added or taken away change, add or take away that step, and no other.
const STEP_BYTES: usize = 4;
/// More steps than this find nothing that fewer would not, but take their time.
const MAX_STEPS: usize = 24;

/// Any bytes are operations on branches and records, which the engine does as the naive model does.
///
/// # Panics
///
/// When that does not hold.
pub fn operations(bytes: &[u8]) {
    let steps: Vec<_> = bytes.chunks(STEP_BYTES).take(MAX_STEPS).filter_map(step_of).collect();
    let store = MemoryStore::new();
    let options = Options::default().with_small_nodes();
    let checked = check_against_model(&steps, 20, &options, || store.clone());
    assert!(checked.is_ok(), "{checked:?}");
}

/// A text is an LSN that prints as what parses to it again, or is refused.
///
/// # Panics
///
/// When that does not hold.
pub fn lsn(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(lsn) = text.parse::<Lsn>() {
        assert_eq!(lsn.to_string().parse(), Ok(lsn));
    }
}

/// Stored bytes, below their checksum, decode or are refused; a node that decodes is in order. The first byte chooses the type.
///
/// # Panics
///
/// When that does not hold.
pub fn stored(bytes: &[u8]) {
    let Some((kind, payload)) = bytes.split_first() else { return };
    let key = b"key";
    match kind % 14 {
        0 => again::<record::Branch>(payload),
        1 => again::<record::Version>(payload),
        2 => {
            if let Some(node) = Node::decode(Bytes::copy_from_slice(payload)) {
                assert!((1..node.len()).all(|index| node.key(index - 1) < node.key(index)));
                assert!((0..node.len()).all(|index| node.find(node.key(index)) == Ok(index)));
                assert!(node.level() == 0 || (0..node.len()).all(|index| node.child(index).is_some()));
            }
        }
        3 => again::<record::Deleted>(payload),
        5 => again::<record::Mark>(payload),
        6 => again::<record::Ids>(payload),
        7 => again::<record::Namespace>(payload),
        8 => again::<record::Pin>(payload),
        9 => again::<record::Window>(payload),
        10 => again::<record::Unneeded>(payload),
        11 => again::<record::Garbage>(payload),
        12 => again::<record::Detached>(payload),
        13 => again::<record::Purge>(payload),
        _ => drop(envelope::open(key, &Bytes::copy_from_slice(payload))),
    }
}

/// The step that a few bytes name.
fn step_of(name: &[u8]) -> Option<Step> {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name);
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    Some(step().new_tree(&mut runner).ok()?.current())
}

/// What decodes says the same when it is encoded again.
fn again<T: Decode<()> + Encode + PartialEq + std::fmt::Debug>(payload: &[u8]) {
    let Ok(stored) = codec::decode::<T>(b"key", payload) else { return };
    let decoded = codec::encode(&stored).and_then(|payload| codec::decode::<T>(b"key", &payload));
    assert_eq!(decoded.ok(), Some(stored));
}

/// Any bytes are a dump that is read whole, and holds the same when it is written again, or are refused. The first byte chooses: an odd one stands
/// before a number of entries, in one byte, and the payload of a block, below the checksum. The entries that come out of that are in order.
///
/// # Panics
///
/// When that does not hold.
pub fn dump(bytes: &[u8]) {
    match bytes {
        [kind, entries, payload @ ..] if kind % 2 == 1 => {
            let dump = format::unfinished(u32::from(*entries), payload);
            let found: Vec<_> = DumpReader::open(&dump[..]).into_iter().flatten().map_while(Result::ok).collect();
            assert!(found.len() <= usize::from(*entries));
            assert!(found.iter().all(|(key, _)| key.first().is_some_and(|first| *first > 0)));
            assert!(found.is_sorted_by(|(one, _), (two, _)| one < two));
        }
        [_, dump @ ..] => {
            let Some((entries, info)) = read_dump(dump) else { return };
            assert_eq!((info.entries, info.bytes), (entries.len() as u64, dump.len() as u64));
            let again = write_dump(&entries, &info).and_then(|dump| read_dump(&dump));
            // The blocks may be others.
            let again = again.map(|(entries, again)| (entries, DumpInfo { bytes: info.bytes, ..again }));
            assert_eq!(again, Some((entries, info)));
        }
        [] => {}
    }
}

/// Any bytes are a frame of the journal that is read whole, or are refused, and any bytes are writes up to where they are none. The first byte chooses:
/// bytes as they are, under the right checksum, or a payload.
///
/// # Panics
///
/// When that does not hold.
#[cfg(feature = "sled")]
pub fn frame(bytes: &[u8]) {
    use crate::store::frame;

    let Some((kind, rest)) = bytes.split_first() else { return };
    let mut bytes = rest.to_vec();
    match kind % 3 {
        0 => {}
        1 => frame::seal(&mut bytes),
        _ => return writes(rest),
    }
    let Some((head, payload)) = frame::decode(&bytes) else { return };
    assert_eq!(frame::head(&bytes), Some(head));
    assert!(head.first <= head.after.sequence);
    assert!(head.frame_bytes().is_multiple_of(frame::PAGE_BYTES) && head.frame_bytes() > payload.len());
    writes(payload);
    // What follows the frame does not count.
    let end = bytes.len().min(head.frame_bytes());
    assert_eq!(frame::decode(&bytes[..end]), Some((head, payload)));
}

/// Reads the payload of a frame up to where it is none.
#[cfg(feature = "sled")]
fn writes(payload: &[u8]) {
    let (mut length, mut is_broken) = (0, false);
    for write in crate::store::frame::writes(payload) {
        assert!(!is_broken, "nothing follows what is none");
        match write {
            Some(write) => length += write.bytes(),
            None => is_broken = true,
        }
    }
    assert!(length <= payload.len());
}

/// Any bytes are a slot of a file of notes, of this format or of one that is named, or are refused. The first byte chooses: bytes as they are, or under
/// the right checksums.
///
/// # Panics
///
/// When that does not hold.
#[cfg(feature = "sled")]
pub fn note(bytes: &[u8]) {
    use crate::store::notes::{self, FORMAT, Slot};

    let Some((kind, rest)) = bytes.split_first() else { return };
    let mut bytes = rest.to_vec();
    if kind % 2 == 1 {
        notes::seal(&mut bytes);
    }
    match Slot::read(&bytes) {
        Slot::Damaged => {}
        Slot::UnknownFormat(format) => assert_ne!(format, FORMAT),
        Slot::Note(generation, note) => {
            assert_eq!(Slot::read(&notes::encode(generation, &note)), Slot::Note(generation, note));
        }
    }
}

/// The entries of a dump that is whole.
fn read_dump(dump: &[u8]) -> Option<(Vec<(Bytes, Bytes)>, DumpInfo)> {
    let mut reader = DumpReader::open(dump).ok()?;
    let entries = reader.by_ref().collect::<Result<_, _>>().ok()?;
    Some((entries, reader.finish().ok()?))
}

fn write_dump(entries: &[(Bytes, Bytes)], info: &DumpInfo) -> Option<Vec<u8>> {
    let mut writer = DumpWriter::new(Vec::new(), info.store_id, info.sequence).ok()?;
    for (key, value) in entries {
        writer.entry(key, value).ok()?;
    }
    Some(writer.finish().ok()?.0)
}

#[cfg(test)]
mod tests {
    use std::{error::Error, fs, path::PathBuf};

    use proptest::prelude::*;

    use super::*;

    /// Runs `target` on each of its committed seeds.
    fn run_seeds(name: &str, target: fn(&[u8])) -> Result<(), Box<dyn Error>> {
        let corpus: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../fuzz/corpus", name].iter().collect();
        let mut seeds = 0;
        for seed in fs::read_dir(corpus)? {
            target(&fs::read(seed?.path())?);
            seeds += 1;
        }
        assert!(seeds > 0, "{name} has no seeds");
        Ok(())
    }

    #[test]
    fn the_seeds_of_all_fuzz_targets_pass() -> Result<(), Box<dyn Error>> {
        run_seeds("lsn", lsn)?;
        run_seeds("stored", stored)?;
        run_seeds("operations", operations)?;
        #[cfg(feature = "sled")]
        {
            run_seeds("frame", frame)?;
            run_seeds("note", note)?;
        }
        run_seeds("dump", dump)
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            lsn(&bytes);
            stored(&bytes);
            dump(&bytes);
            #[cfg(feature = "sled")]
            {
                frame(&bytes);
                note(&bytes);
            }
        }

        #[test]
        #[cfg(feature = "sled")]
        fn a_changed_byte_of_a_frame_is_a_frame_or_refused(at: prop::sample::Index, byte: u8) {
            let mut seed = include_bytes!("../../../../fuzz/corpus/frame/sealed").to_vec();
            let length = seed.len();
            seed[at.index(length)] = byte;
            frame(&seed);
        }

        #[test]
        fn a_changed_byte_of_a_node_is_a_node_in_order_or_refused(at: prop::sample::Index, byte: u8) {
            let entries = [("a", "1"), ("bb", "22"), ("ccc", "333")];
            let entries =
                entries.iter().map(|(key, value)| record::Entry { key: key.as_bytes(), payload: value.as_bytes() });
            let mut bytes = codec::encode(&record::Node { level: 0, entries: entries.collect() })?;
            let length = bytes.len();
            bytes[at.index(length)] = byte;
            bytes.insert(0, 2);
            stored(&bytes);
        }

        #[test]
        fn a_changed_byte_of_a_block_is_entries_in_order_or_refused(at: prop::sample::Index, byte: u8) {
            let lengths = |key: u8, value: u8| [0, 0, 0, key, 0, 0, 0, value];
            let mut bytes = [&lengths(1, 1)[..], b"a1", &lengths(2, 2), b"bb22", &lengths(1, 0), b"c"].concat();
            let length = bytes.len();
            bytes[at.index(length)] = byte;
            dump(&[&[1, 3], &bytes[..]].concat());
        }
    }
}
