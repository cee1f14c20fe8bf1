mod damage;
mod transfer;

use std::{
    io::{self, Read, Write},
    ops::Range,
};

use bytes::Bytes;
use proptest::{collection::btree_map, prelude::*};

use super::{format::*, *};

type Entry = (Bytes, Bytes);

/// Some entries, short and long ones.
fn entries(count: usize) -> Vec<Entry> {
    let entry = |at: usize| (format!("key{at:04}").into(), vec![b'v'; at % 7].into());
    (0..count).map(entry).collect()
}

/// The dump of these entries, in blocks of about this size.
fn file(entries: &[Entry], block_bytes: usize) -> Vec<u8> {
    write(entries, block_bytes, Sequence::new(9)).unwrap().0
}

fn write(entries: &[Entry], block_bytes: usize, sequence: Sequence) -> Result<(Vec<u8>, DumpInfo), DumpError> {
    let mut writer = DumpWriter::with_block_bytes(Vec::new(), 7, sequence, block_bytes)?;
    for (key, value) in entries {
        writer.entry(key, value)?;
    }
    writer.finish()
}

fn read(input: impl Read) -> Result<(Vec<Entry>, DumpInfo), DumpError> {
    let mut reader = DumpReader::open(input)?;
    let entries = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    Ok((entries, reader.finish()?))
}

/// Where the parts of a dump lie: its header, its blocks, its footer.
fn parts(file: &[u8]) -> Vec<Range<usize>> {
    let (mut begin, end) = (HEADER_BYTES, file.len() - FOOTER_BYTES);
    let mut parts = Vec::new();
    parts.push(0..begin);
    while begin < end {
        let length: [u8; 4] = file[begin + 4..begin + 8].try_into().unwrap();
        let next = begin + BLOCK_HEAD_BYTES + u32::from_be_bytes(length) as usize + CHECKSUM_BYTES;
        parts.push(begin..next);
        begin = next;
    }
    parts.push(end..file.len());
    parts
}

/// What the dump says to be damaged, and where.
fn damage<T>(outcome: Result<T, DumpError>) -> (u64, &'static str) {
    match outcome {
        Err(DumpError::Damaged { offset, what }) => (offset, what),
        Err(error) => panic!("another error: {error:?}"),
        Ok(_) => panic!("the damage was not found"),
    }
}

fn invalid<T>(outcome: Result<T, DumpError>) -> String {
    match outcome {
        Err(DumpError::InvalidEntry { what }) => what,
        Err(error) => panic!("another error: {error:?}"),
        Ok(_) => panic!("the entry was taken"),
    }
}

#[test]
fn the_bytes_of_a_dump_never_change() {
    let entries = [("a", ""), ("bc", "one"), ("d", "two")].map(|(key, value)| (key.into(), value.into()));
    let (file, info) = write(&entries, 24, Sequence::new(9)).unwrap();
    let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = "4f46465344554d500000000100000000000000070000000000000009e2074b512047f2d5\
                  444154410000001600000002000000010000000061000000020000000362636f6e65d7efb44eef8a72b0\
                  444154410000000c0000000100000001000000036474776fd89538ed3b74cf6f\
                  444f4e450000000000000003937d4d72b70cb25076a36e2f354e324b000000000000009a098e5d2c2e366494";
    assert_eq!(hex, golden);
    assert_eq!(read(&file[..]).unwrap(), (entries.to_vec(), info));
    assert_eq!((info.store_id, info.sequence, info.entries), (7, Sequence::new(9), 3));
    assert_eq!(info.bytes, file.len() as u64);
}

#[test]
fn a_reader_knows_the_store_before_the_first_entry() {
    let file = file(&entries(1), BLOCK_BYTES);
    let reader = DumpReader::open(&file[..]).unwrap();
    assert_eq!((reader.store_id(), reader.sequence()), (7, Sequence::new(9)));
}

#[test]
fn the_digest_is_that_of_the_set_of_entries() {
    let (mut digest, entries) = (SetDigest::default(), entries(10));
    entries.iter().rev().for_each(|(key, value)| digest.add(key, value));
    assert_eq!(write(&entries, 64, Sequence::ZERO).unwrap().1.set_digest(), digest);
}

#[test]
fn a_block_is_full_or_has_one_entry() {
    let mut entries = entries(5_000);
    entries[2_000].1 = vec![1; 1 << 20].into();
    let file = file(&entries, BLOCK_BYTES);
    let payload = |part: &Range<usize>| part.len() - BLOCK_HEAD_BYTES - CHECKSUM_BYTES;
    let parts = parts(&file);
    let blocks = &parts[1..parts.len() - 1];
    assert_eq!(blocks.iter().filter(|part| payload(part) > BLOCK_BYTES).count(), 1);
    assert_eq!(blocks.iter().map(payload).max(), Some(ENTRY_HEAD_BYTES + 7 + (1 << 20)));
    assert!(blocks.len() <= 5, "{} blocks", blocks.len());
    assert_eq!(read(&file[..]).unwrap().0, entries);
}

/// Counts writes, and fails once after some bytes.
struct Limited {
    writes: usize,
    left: usize,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        let taken = bytes.len().min(self.left);
        self.left -= taken;
        if taken > 0 {
            return Ok(taken);
        }
        self.left = usize::MAX;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_to(out: Limited) -> Result<Limited, DumpError> {
    let mut writer = DumpWriter::with_block_bytes(out, 7, Sequence::ZERO, 64)?;
    for (key, value) in entries(20) {
        writer.entry(&key, &value)?;
    }
    Ok(writer.finish()?.0)
}

#[test]
fn each_part_is_one_write() {
    let file = write(&entries(20), 64, Sequence::ZERO).unwrap().0;
    let out = write_to(Limited { writes: 0, left: usize::MAX }).unwrap();
    assert_eq!(out.writes, parts(&file).len());
}

#[test]
fn a_failed_write_is_an_error_wherever_it_happens() {
    let length = write(&entries(20), 64, Sequence::ZERO).unwrap().0.len();
    for left in 0..length {
        let outcome = write_to(Limited { writes: 0, left });
        assert!(matches!(outcome, Err(DumpError::Io { .. })), "after {left} bytes");
    }
    write_to(Limited { writes: 0, left: length }).unwrap();
}

#[test]
fn after_a_failed_write_there_is_no_dump() {
    let out = Limited { writes: 0, left: HEADER_BYTES + 10 };
    let mut writer = DumpWriter::with_block_bytes(out, 7, Sequence::ZERO, 64).unwrap();
    let failed: Vec<_> = entries(20).iter().map(|(key, value)| writer.entry(key, value).is_err()).collect();
    assert!(failed.is_sorted() && failed[10], "no later write gets through: {failed:?}");
    assert!(matches!(writer.finish(), Err(DumpError::Io { .. })));
}

#[test]
fn the_writer_refuses_what_cannot_follow_and_goes_on() {
    let mut writer = DumpWriter::new(Vec::new(), 7, Sequence::ZERO).unwrap();
    writer.entry(b"b", b"secret").unwrap();
    for key in ["b", "a"] {
        let what = invalid(writer.entry(key.as_bytes(), b"secret"));
        assert!(what.contains("not greater") && what.ends_with(&format!("\"{key}\"")), "{what}");
    }
    for key in ["", "\0b"] {
        assert!(invalid(writer.entry(key.as_bytes(), b"secret")).contains("zero byte"));
    }
    let large = vec![0; MAX_ENTRY_BYTES];
    let what = invalid(writer.entry(b"c", &large));
    assert!(what.contains("8 MiB") && what.ends_with("\"c\""), "{what}");
    writer.entry(b"c", &large[1..]).unwrap();
    let (file, info) = writer.finish().unwrap();
    assert_eq!(info.entries, 2);
    assert_eq!(read(&file[..]).unwrap().1, info);
}

/// Reads one byte at a time, and is interrupted each time.
struct Slow<'a>(&'a [u8], bool);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

#[test]
fn an_input_may_come_in_pieces() {
    let file = file(&entries(20), 64);
    assert_eq!(read(Slow(&file, false)).unwrap(), read(&file[..]).unwrap());
}

/// Any entries.
fn any_entries(value_bytes: usize) -> impl Strategy<Value = Vec<Entry>> {
    let key = prop::collection::vec(any::<u8>(), 1..5).prop_filter("reserved", |key| key[0] > 0);
    let entries = btree_map(key, prop::collection::vec(any::<u8>(), 0..value_bytes), 0..40);
    entries.prop_map(|entries| entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

proptest! {
    #[test]
    fn what_was_written_is_read(entries in any_entries(50), block_bytes in 0..300_usize, sequence: u64) {
        let (file, info) = write(&entries, block_bytes, Sequence::new(sequence))?;
        prop_assert_eq!(read(&file[..])?, (entries.clone(), info));
        prop_assert_eq!((info.entries, info.bytes), (entries.len() as u64, file.len() as u64));
        prop_assert_eq!(info.sequence, Sequence::new(sequence));
    }
}
