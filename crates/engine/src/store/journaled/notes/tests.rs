use super::*;
use crate::store::{Sequence, digest::SetDigest, disk::sim::SimDisk, journaled::stamp};

const NAME: &str = "NOTES";

fn note(sequence: u64) -> Note {
    let mut digest = SetDigest::default();
    digest.add(b"key", b"value");
    let stamp = Stamp { store: 0x0102_0304_0506_0708, sequence: Sequence::new(sequence), digest };
    Note { stamp, clean: None }
}

fn clean(sequence: u64) -> Note {
    let files = Fingerprint { bytes: 0x2122, digest: 0x3132_3334_3536_3738_393a_3b3c_3d3e_3f40 };
    Note { clean: Some(files), ..note(sequence) }
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn disk(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn found(disk: &SimDisk) -> Option<Note> {
    match NoteFile::open(&self::disk(disk), NAME).unwrap() {
        Found::Note(_, note) => Some(note),
        Found::Damaged => None,
        _ => panic!("neither a note nor damage"),
    }
}

fn reopened(disk: &SimDisk) -> NoteFile {
    match NoteFile::open(&self::disk(disk), NAME).unwrap() {
        Found::Note(file, _) => file,
        _ => panic!("no note"),
    }
}

/// A disk with a file whose older slot says 1 and whose newer one says 2.
fn two_notes() -> SimDisk {
    let disk = SimDisk::new();
    let mut file = NoteFile::create(&self::disk(&disk), NAME, &note(1)).unwrap();
    file.write(&note(2)).unwrap();
    file.sync().unwrap();
    disk
}

/// Where the newer slot of [`two_notes`] is: the third note went to the slot of the first.
const NEWER: usize = PAGE_BYTES;

#[test]
fn the_bytes_of_a_note_never_change() {
    let stamp = "4f464653484f4f5400000002010203040506070800000000000000090000000000000001\
                 117b58c9b333465d74b3555489959b9200000000f217a0b40eaa4ca2";
    let none = "0".repeat(48);
    let open = |format, checksum| [format, " 00000000 0000000000000005", stamp, &none, checksum].concat();
    let files = "0000000000002122 3132333435363738393a3b3c3d3e3f40";
    let closed = |format, checksum| [format, " 00000001 0000000000000005", stamp, files, checksum].concat();
    let format = "4f4646534e4f5445 00000003";
    let written = [open(format, "f76a96fd0ffe4228"), closed(format, "d0dcb47bc2ea11b2")];
    for (note, golden) in [note(9), clean(9)].into_iter().zip(written) {
        let bytes = encode(5, &note);
        assert_eq!(hex(&bytes), golden.replace(' ', ""));
        assert_eq!(Slot::read(&bytes), Slot::Note(5, note));
    }
    let format = "4f4646534e4f5445 00000002";
    let older = [open(format, "a43e2a4d1e2ee8fb"), closed(format, "7dd39932da709389")];
    for (note, golden) in [note(9), clean(9)].into_iter().zip(older) {
        assert_eq!(Slot::read(&unhex(&golden.replace(' ', ""))), Slot::Note(5, note));
    }
}

#[test]
fn any_changed_byte_of_a_note_is_found() {
    let bytes = encode(5, &clean(9));
    for index in 0..NOTE_BYTES {
        let mut bytes = bytes.clone();
        bytes[index] ^= 1;
        assert_eq!(Slot::read(&bytes), Slot::Damaged, "byte {index}");
        assert_eq!(Slot::read(&bytes[..index]), Slot::Damaged, "{index} bytes");
    }
}

#[test]
fn the_newest_note_counts_also_after_reopening() {
    let disk = SimDisk::new();
    let mut file = NoteFile::create(&self::disk(&disk), NAME, &note(0)).unwrap();
    assert_eq!(found(&disk), Some(note(0)));
    for sequence in 1..10 {
        // The sequence does not decide: a repair may note an older one.
        let next = if sequence % 2 == 0 { clean(sequence) } else { note(100 - sequence) };
        file.write(&next).unwrap();
        assert_eq!(found(&disk), Some(next));
        if sequence % 3 == 0 {
            file = reopened(&disk);
        }
    }
    let names: Vec<String> = disk.files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [NAME]);
}

#[test]
fn damage_to_one_slot_leaves_the_other() {
    for index in 0..NOTE_BYTES {
        let disk = two_notes();
        disk.flip(NAME, NEWER + index, 1);
        assert_eq!(found(&disk), Some(note(1)), "byte {index} of the newer slot");
        let disk = two_notes();
        disk.flip(NAME, index, 1);
        assert_eq!(found(&disk), Some(note(2)), "byte {index} of the older slot");
        disk.flip(NAME, NEWER + index, 1);
        assert_eq!(found(&disk), None);
    }
    let disk = two_notes();
    disk.cut(NAME, NEWER + NOTE_BYTES - 1);
    assert_eq!(found(&disk), Some(note(1)));
    disk.cut(NAME, 0);
    assert_eq!(found(&disk), None);
    disk.delete(NAME);
    assert!(matches!(NoteFile::open(&self::disk(&disk), NAME).unwrap(), Found::Missing));
}

#[test]
fn a_note_after_damage_takes_the_place_of_the_damage() {
    let disk = two_notes();
    disk.flip(NAME, NEWER, 1);
    reopened(&disk).write(&note(3)).unwrap();
    assert_eq!(found(&disk), Some(note(3)));
    disk.flip(NAME, NEWER, 1);
    assert_eq!(found(&disk), Some(note(1)), "it went to the damaged slot");
}

#[test]
fn a_torn_write_leaves_the_note_before() {
    let mut seen = [0; 2];
    for seed in 0..300 {
        let disk = two_notes();
        reopened(&disk).write(&clean(3)).unwrap();
        match found(&disk.power_cut(seed)) {
            Some(found) if found == note(2) => seen[0] += 1,
            Some(found) if found == clean(3) => seen[1] += 1,
            found => panic!("seed {seed}: {found:?}"),
        }
    }
    assert!(seen.iter().all(|times| *times > 30), "{seen:?}");
}

#[test]
fn of_notes_that_were_not_synced_any_is_left_or_none() {
    let mut damaged = 0;
    for seed in 0..300 {
        let disk = two_notes();
        let mut file = reopened(&disk);
        (3..7).for_each(|sequence| file.write(&note(sequence)).unwrap());
        match found(&disk.power_cut(seed)) {
            Some(found) => assert!((1..7).any(|sequence| found == note(sequence)), "seed {seed}: {found:?}"),
            None => damaged += 1,
        }
    }
    assert!(damaged < 30, "{damaged}");
}

#[test]
fn a_crash_while_the_file_is_created_leaves_none_or_a_whole_one() {
    for stop in 1..7 {
        for seed in 0..20 {
            let disk = SimDisk::new();
            disk.stop_after(stop);
            let created = NoteFile::create(&self::disk(&disk), NAME, &note(1));
            let after = disk.power_cut(seed);
            match NoteFile::open(&self::disk(&after), NAME).unwrap() {
                Found::Missing => assert!(created.is_err()),
                Found::Note(_, found) => assert_eq!(found, note(1)),
                _ => panic!("a file that is not whole"),
            }
        }
    }
}

#[test]
fn another_format_is_named_also_beside_a_note_that_can_be_read() {
    for slot in [0, NEWER] {
        let disk = two_notes();
        let mut bytes = disk.read(NAME);
        bytes[slot + 8..slot + 12].copy_from_slice(&7_u32.to_be_bytes());
        seal(&mut bytes[slot..slot + NOTE_BYTES]);
        disk.overwrite(NAME, &bytes);
        let found = NoteFile::open(&self::disk(&disk), NAME).unwrap();
        assert!(matches!(found, Found::UnknownFormat(7)), "slot at {slot}");
    }
}

/// A stamp as stores without a journal wrote it.
fn bare_stamp(sequence: u64) -> [u8; STAMP_BYTES] {
    let mut bytes = note(sequence).stamp.encode();
    bytes[8..12].copy_from_slice(&stamp::FORMAT_WITHOUT_JOURNAL.to_be_bytes());
    let checksum = xxh3_64(&bytes[..STAMP_BYTES - 8]);
    bytes[STAMP_BYTES - 8..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

#[test]
fn the_bare_stamps_of_a_store_without_a_journal_are_found() {
    let bare = |disk: &SimDisk| match NoteFile::open(&self::disk(disk), NAME).unwrap() {
        Found::Bare(stamp) => Some(stamp),
        Found::Damaged => None,
        _ => panic!("neither a stamp nor damage"),
    };
    let disk = SimDisk::new();
    let mut bytes = bare_stamp(8).to_vec();
    disk.overwrite(NAME, &bytes);
    assert_eq!(bare(&disk), Some(note(8).stamp), "one slot");
    bytes.resize(PAGE_BYTES, 0);
    bytes.extend(bare_stamp(9));
    disk.overwrite(NAME, &bytes);
    assert_eq!(bare(&disk), Some(note(9).stamp), "the newer of two");
    disk.flip(NAME, PAGE_BYTES + 20, 1);
    assert_eq!(bare(&disk), Some(note(8).stamp), "the one that is whole");
    disk.flip(NAME, 20, 1);
    assert_eq!(bare(&disk), None);
}
