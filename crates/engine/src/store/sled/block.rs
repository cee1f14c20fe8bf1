//! Neighbouring entries in one value of sled.
//!
//! Sled keeps 16 entries to a page and writes a page anew every few changes, whatever the entries' size; ours are small, and many that are written together have
//! neighbouring keys. In blocks they cost one change.
//!
//! A block has its entries in the order of their keys. An entry is three numbers and two strings: how many bytes its key shares with the key before, how
//! many more the key has, how many the value has; the rest of the key; the value. Numbers are in LEB128: seven bits to a byte, the lowest first.

use std::cmp::Ordering;

/// A block with more bytes than this is split, unless it has a single entry. Tests have little to put into blocks.
pub(super) const MAX_BYTES: usize = if cfg!(test) { 128 } else { 4 << 10 };

/// A block is no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// An entry as it stands in a block.
struct Stored<'a> {
    shared: usize,
    rest: &'a [u8],
    value: &'a [u8],
}

/// Takes the next entry off the front of a block.
fn split_first<'a>(block: &mut &'a [u8]) -> Result<Stored<'a>, Damaged> {
    let (shared, rest, value) = (number(block)?, number(block)?, number(block)?);
    Ok(Stored { shared, rest: bytes(block, rest)?, value: bytes(block, value)? })
}

fn number(block: &mut &[u8]) -> Result<usize, Damaged> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, left) = block.split_first().ok_or(Damaged)?;
        *block = left;
        number |= usize::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Damaged)
}

fn bytes<'a>(block: &mut &'a [u8], length: usize) -> Result<&'a [u8], Damaged> {
    let (bytes, left) = block.split_at_checked(length).ok_or(Damaged)?;
    *block = left;
    Ok(bytes)
}

/// The value of a key in a block.
pub(super) fn get<'a>(mut block: &'a [u8], key: &[u8]) -> Result<Option<&'a [u8]>, Damaged> {
    // How many bytes the key has in common with the entry before, which is smaller.
    let mut common = 0;
    while !block.is_empty() {
        let entry = split_first(&mut block)?;
        match entry.shared.cmp(&common) {
            // It differs from the key where the entry before does.
            Ordering::Greater => {}
            // It is greater than the entry before at a byte where that one is equal to the key.
            Ordering::Less => return Ok(None),
            Ordering::Equal => {
                let wanted = key.get(common..).ok_or(Damaged)?;
                match entry.rest.cmp(wanted) {
                    Ordering::Less => common += in_common(entry.rest, wanted),
                    Ordering::Equal => return Ok(Some(entry.value)),
                    Ordering::Greater => return Ok(None),
                }
            }
        }
    }
    Ok(None)
}

fn in_common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Shows all entries of a block, in the order of their keys.
pub(super) fn each<'a>(mut block: &'a [u8], mut show: impl FnMut(&[u8], &'a [u8])) -> Result<(), Damaged> {
    let mut key = Vec::with_capacity(64);
    while !block.is_empty() {
        let entry = split_first(&mut block)?;
        if entry.shared > key.len() {
            return Err(Damaged);
        }
        key.truncate(entry.shared);
        key.extend_from_slice(entry.rest);
        show(&key, entry.value);
    }
    Ok(())
}

/// A new value of a key, or none where it is removed.
pub(super) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// The blocks that a block becomes by changes, which come in the order of their keys, each key once; with the first key of each.
///
/// Entries that are appended fill the blocks, so that what grows at its end takes no more space than it needs. Otherwise blocks are split evenly.
pub(super) fn changed(old: &[u8], changes: &[Change<'_>]) -> Result<Vec<FirstAndBlock>, Damaged> {
    let mut full = Builder::new(MAX_BYTES);
    let mut rest = changes.iter().peekable();
    each(old, |key, value| {
        while let Some((new, change)) = rest.next_if(|(new, _)| *new < key) {
            full.change(new, *change);
        }
        match rest.next_if(|(new, _)| *new == key) {
            Some((_, change)) => full.change(key, *change),
            None => full.push(key, value),
        }
    })?;
    let is_appended = rest.peek().is_some();
    rest.for_each(|(new, change)| full.change(new, *change));
    if full.blocks.len() < 2 || is_appended {
        return Ok(full.blocks);
    }
    let bytes: usize = full.blocks.iter().map(|(_, block)| block.len()).sum();
    let mut even = Builder::new(bytes.div_ceil(full.blocks.len()).min(MAX_BYTES));
    for (_, block) in &full.blocks {
        each(block, |key, value| even.push(key, value))?;
    }
    Ok(even.blocks)
}

/// The first key of a block, and the block.
type FirstAndBlock = (Vec<u8>, Vec<u8>);

/// Makes blocks of entries that come in the order of their keys.
struct Builder {
    /// A block takes no entry with which it would have more.
    full_bytes: usize,
    blocks: Vec<FirstAndBlock>,
    last_key: Vec<u8>,
}

impl Builder {
    fn new(full_bytes: usize) -> Self {
        Self { full_bytes, blocks: Vec::new(), last_key: Vec::new() }
    }

    fn change(&mut self, key: &[u8], value: Option<&[u8]>) {
        if let Some(value) = value {
            self.push(key, value);
        }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        let shared = in_common(&self.last_key, key);
        let rest = key.len() - shared;
        let bytes = [shared, rest, value.len()].into_iter().map(number_bytes).sum::<usize>() + rest + value.len();
        match self.blocks.last_mut() {
            Some((_, block)) if block.len() + bytes <= self.full_bytes => append(block, shared, key, value),
            _ => {
                let mut block = Vec::with_capacity(MAX_BYTES);
                append(&mut block, 0, key, value);
                self.blocks.push((key.to_vec(), block));
            }
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
    }
}

/// Puts an entry at the end of a block; the key shares its first bytes with the one before.
fn append(block: &mut Vec<u8>, shared: usize, key: &[u8], value: &[u8]) {
    let rest = key.get(shared..).unwrap_or_default();
    for number in [shared, rest.len(), value.len()] {
        push_number(block, number);
    }
    block.extend_from_slice(rest);
    block.extend_from_slice(value);
}

/// How many bytes a number takes.
fn number_bytes(number: usize) -> usize {
    (usize::BITS - number.leading_zeros()).div_ceil(7).max(1) as usize
}

fn push_number(block: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        block.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    block.push(u8::try_from(number).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection, prelude::*};

    use super::*;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    /// Short keys of few letters share much; some values fill a block alone.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        collection::vec(prop_oneof![Just(0), Just(b'a'), Just(b'b'), Just(255)], 1..6)
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![4 => 0..200_usize, 1 => 1_000..10_000_usize].prop_map(|length| vec![b'v'; length])
    }

    fn changes() -> impl Strategy<Value = BTreeMap<Vec<u8>, Option<Vec<u8>>>> {
        collection::btree_map(key(), proptest::option::weighted(0.7, value()), 0..30)
    }

    fn as_changes(changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Vec<Change<'_>> {
        changes.iter().map(|(key, value)| (&key[..], value.as_deref())).collect()
    }

    fn apply(model: &mut Model, changes: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
        for (key, value) in changes {
            match value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(key),
            };
        }
    }

    fn entries(block: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut entries = Vec::new();
        each(block, |key, value| entries.push((key.to_vec(), value.to_vec()))).unwrap();
        entries
    }

    proptest! {
        #[test]
        fn changed_blocks_have_what_a_map_has(rounds in collection::vec(changes(), 1..5), asked in collection::vec(key(), 20)) {
            let (mut model, mut blocks) = (Model::new(), Vec::new());
            for round in &rounds {
                // All that is there comes as one block again, also where it would not fit.
                let mut all = Vec::new();
                let mut last = Vec::new();
                for (key, value) in &model {
                    append(&mut all, in_common(&last, key), key, value);
                    last.clone_from(key);
                }
                blocks = changed(&all, &as_changes(round)).unwrap();
                apply(&mut model, round);
                prop_assert_eq!(blocks.iter().flat_map(|(_, block)| entries(block)).collect::<Model>(), model.clone());
            }
            for (first, block) in &blocks {
                let entries = entries(block);
                prop_assert!(entries.is_sorted());
                prop_assert_eq!(first, &entries[0].0);
                prop_assert!(block.len() <= MAX_BYTES || entries.len() == 1);
                for key in asked.iter().chain(model.keys()) {
                    let value = entries.iter().find(|(found, _)| found == key).map(|(_, value)| &value[..]);
                    prop_assert_eq!(get(block, key).unwrap(), value);
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in collection::vec(any::<u8>(), 0..200), key in key()) {
            let _ = (get(&bytes, &key), each(&bytes, |_, _| ()), changed(&bytes, &[(&key, Some(b"value"))]));
        }
    }

    #[test]
    fn appended_entries_fill_blocks() {
        let numbers: Vec<_> = (0..1_000_u64).map(u64::to_be_bytes).collect();
        let (mut last, mut full) = (Vec::new(), Vec::new());
        for number in &numbers {
            let mut blocks = changed(&last, &[(number, Some(&[7; 30]))]).unwrap();
            last = blocks.pop().unwrap().1;
            full.extend(blocks);
        }
        assert!(full.iter().all(|(_, block)| block.len() > MAX_BYTES - 36), "a block is not full");
    }
}
