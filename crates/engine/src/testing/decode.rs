//! What decoders must do with any bytes; the fuzz targets and ordinary tests call these.

use bytes::Bytes;

use crate::{
    Lsn,
    codec::{self, envelope, record},
    tree::Node,
};

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
    match kind % 5 {
        0 => drop(codec::decode::<record::Branch>(key, payload)),
        1 => drop(codec::decode::<record::Version>(key, payload)),
        2 => {
            if let Some(node) = Node::decode(Bytes::copy_from_slice(payload)) {
                assert!((1..node.len()).all(|index| node.key(index - 1) < node.key(index)));
                assert!((0..node.len()).all(|index| node.find(node.key(index)) == Ok(index)));
                assert!(node.level() == 0 || (0..node.len()).all(|index| node.child(index).is_some()));
            }
        }
        3 => drop(codec::decode::<record::Deleted>(key, payload)),
        _ => drop(envelope::open(key, &Bytes::copy_from_slice(payload))),
    }
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
        run_seeds("stored", stored)
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            lsn(&bytes);
            stored(&bytes);
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
    }
}
