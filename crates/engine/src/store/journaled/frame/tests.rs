use proptest::{collection::vec, prelude::*};

use super::*;

fn commit(sequence: u64, writes: Vec<Write>) -> Pending {
    Pending { sequence: Sequence::new(sequence), before: vec![None; writes.len()], writes: writes.into(), bytes: 0 }
}

fn group() -> Vec<Pending> {
    let bytes = Bytes::from_static;
    vec![
        commit(9, vec![Write::Create(bytes(b"a"), bytes(b"1")), Write::Put(bytes(b"bb"), bytes(b"22"))]),
        commit(10, vec![Write::Delete(bytes(b"ccc"))]),
    ]
}

fn after(sequence: u64) -> Stamp {
    let mut digest = SetDigest::default();
    digest.add(b"key", b"value");
    Stamp { store: 0x0102_0304_0506_0708, sequence: Sequence::new(sequence), digest }
}

fn encoded(group: &[Pending]) -> Vec<u8> {
    let mut frame = vec![7];
    let sequence = group.last().map_or(10, |commit| commit.sequence.number());
    encode(group, &after(sequence), 0x1112_1314_1516_1718, &mut frame);
    frame
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a frame without what fills up its last page.
fn unpadded(frame: &[u8]) -> usize {
    HEADER_BYTES + head(frame).unwrap().payload_bytes
}

fn flat(group: &[Pending]) -> Vec<Write> {
    group.iter().flat_map(|commit| commit.writes.iter().cloned()).collect()
}

#[test]
fn the_bytes_of_a_frame_never_change() {
    let frame = encoded(&group());
    let golden = [
        "4f4646534652414d 00000001 0000002c 0102030405060708",
        "0000000000000009 000000000000000a",
        "0000000000000001 117b58c9b333465d74b3555489959b92",
        "1112131415161718 9abfb155e0578f02",
        "00000002 02 00000001 00000001 61 31 01 00000002 00000002 6262 3232",
        "00000001 00 00000003 00000000 636363",
    ]
    .concat()
    .replace(' ', "");
    assert_eq!(hex(&frame[..unpadded(&frame)]), golden);
    assert_eq!(frame.len(), PAGE_BYTES);
    assert!(frame[unpadded(&frame)..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_frame_is_read_as_it_was_written_whatever_follows() {
    let mut frame = encoded(&group());
    frame.extend_from_slice(b"something else");
    let (found, payload) = decode(&frame).unwrap();
    let checksum = u64::from_be_bytes(frame[CHECKED_BYTES..HEADER_BYTES].try_into().unwrap());
    let payload_bytes = payload.len();
    let expected =
        Head { first: Sequence::new(9), after: after(10), previous: 0x1112_1314_1516_1718, checksum, payload_bytes };
    assert_eq!(found, expected);
    assert_eq!(writes(payload).collect::<Option<Vec<_>>>().unwrap(), flat(&group()));
    assert_eq!(found.frame_bytes(), PAGE_BYTES);
}

#[test]
fn any_changed_byte_of_a_frame_is_found() {
    let frame = encoded(&group());
    for index in 0..unpadded(&frame) {
        for mask in [1, 0x80] {
            let mut frame = frame.clone();
            frame[index] ^= mask;
            assert_eq!(decode(&frame), None, "byte {index}");
        }
    }
}

#[test]
fn a_frame_that_was_cut_anywhere_is_none() {
    let frame = encoded(&group());
    for length in 0..unpadded(&frame) {
        assert_eq!(decode(&frame[..length]), None, "{length} bytes");
    }
    assert!(decode(&frame[..unpadded(&frame)]).is_some(), "zeros that fill up the page are not needed");
}

#[test]
fn a_frame_that_ends_before_it_begins_or_has_another_format_is_none() {
    for (offset, byte) in [(11, 2), (24, 1)] {
        let mut frame = encoded(&group());
        frame[offset] = byte;
        seal(&mut frame);
        assert_eq!(decode(&frame), None);
    }
    let mut frame = encoded(&group());
    frame[24 + 7] = 10;
    seal(&mut frame);
    assert_eq!(decode(&frame).unwrap().0.first, Sequence::new(10), "what was sealed is read");
}

#[test]
fn a_payload_that_is_none_ends_where_that_shows() {
    let frame = encoded(&group());
    let payload = &frame[HEADER_BYTES..unpadded(&frame)];
    let all: Vec<_> = flat(&group()).into_iter().map(Some).collect();
    let with = |change: fn(&mut Vec<u8>)| {
        let mut payload = payload.to_vec();
        change(&mut payload);
        writes(&payload).collect::<Vec<_>>()
    };
    let broken_after = |count: usize| all[..count].iter().cloned().chain([None]).collect::<Vec<_>>();
    assert_eq!(with(|_| {}), all);
    assert_eq!(with(|payload| payload.truncate(payload.len() - 1)), broken_after(2));
    assert_eq!(with(|payload| payload.push(0)), broken_after(3), "a part of a number of writes");
    assert_eq!(with(|payload| payload.extend([0; 4])), all, "a commit without writes");
    assert_eq!(with(|payload| payload[3] = 3), broken_after(2), "more writes than there are");
    assert_eq!(with(|payload| payload[4] = 3), broken_after(0), "an unknown kind");
    assert_eq!(with(|payload| payload[4] = DELETE), broken_after(0), "a deletion with a value");
    assert_eq!(with(|payload| payload[5] = 0xff), broken_after(0), "a key longer than all");
}

fn any_write() -> impl Strategy<Value = Write> {
    let key = vec(any::<u8>(), 1..40).prop_map(Bytes::from);
    let value = prop_oneof![vec(any::<u8>(), 0..200), vec(any::<u8>(), 4000..5000)].prop_map(Bytes::from);
    (key, value, 0..3).prop_map(|(key, value, kind)| match kind {
        0 => Write::Delete(key),
        1 => Write::Put(key, value),
        _ => Write::Create(key, value),
    })
}

fn any_writes() -> impl Strategy<Value = Vec<Vec<Write>>> {
    vec(vec(any_write(), 1..6), 1..8)
}

fn group_of(commits: Vec<Vec<Write>>) -> Vec<Pending> {
    (5..).zip(commits).map(|(sequence, writes)| commit(sequence, writes)).collect()
}

proptest! {
    #[test]
    fn any_group_is_read_as_it_was_written(commits in any_writes()) {
        let group = group_of(commits);
        let frame = encoded(&group);
        let (head, payload) = decode(&frame).unwrap();
        prop_assert_eq!(head.frame_bytes(), frame.len());
        prop_assert_eq!((head.first, head.after), (Sequence::new(5), after(4 + group.len() as u64)));
        prop_assert_eq!(writes(payload).collect::<Option<Vec<_>>>(), Some(flat(&group)));
    }

    #[test]
    fn a_frame_takes_no_more_than_was_reserved_for_its_commits(commits in any_writes()) {
        let group = group_of(commits);
        let reserved: usize = group.iter().map(|commit| bytes_alone(&commit.writes)).sum();
        prop_assert!(encoded(&group).len() <= reserved);
        let alone = &group[..1];
        prop_assert_eq!(encoded(alone).len(), bytes_alone(&alone[0].writes));
    }

    #[test]
    fn any_bytes_are_writes_up_to_where_they_are_none(bytes in vec(prop_oneof![0..4_u8, any::<u8>()], 0..300)) {
        let found: Vec<_> = writes(&bytes).collect();
        prop_assert!(found.len() <= bytes.len() / WRITE_BYTES + 1);
        prop_assert!(found.iter().rev().skip(1).all(Option::is_some));
    }

    #[test]
    fn a_changed_byte_of_any_frame_is_found(commits in any_writes(), at: prop::sample::Index, mask in 1..=u8::MAX) {
        let mut frame = encoded(&group_of(commits));
        let index = at.index(unpadded(&frame));
        frame[index] ^= mask;
        prop_assert_eq!(decode(&frame), None);
    }
}
