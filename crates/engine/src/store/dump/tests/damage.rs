use super::*;

/// A small dump of several blocks.
fn small() -> Vec<u8> {
    let file = file(&entries(12), 64);
    assert!(parts(&file).len() >= 5);
    file
}

fn assembled(file: &[u8], parts: &[Range<usize>]) -> Vec<u8> {
    parts.iter().flat_map(|part| &file[part.clone()]).copied().collect()
}

#[test]
fn each_flipped_bit_is_found() {
    let good = small();
    let parts = parts(&good);
    for (at, bit) in (0..good.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bad = good.clone();
        bad[at] ^= 1 << bit;
        let outcome = read(&bad[..]);
        if at < MAGIC.len() {
            assert!(matches!(outcome, Err(DumpError::NotADump)), "bit {bit} of byte {at}");
            continue;
        }
        let begin = parts.iter().find(|part| part.contains(&at)).unwrap().start as u64;
        let (offset, what) = damage(outcome);
        // A length that was made greater may reach beyond the end.
        assert!(offset == begin || what.starts_with("it ends"), "bit {bit} of byte {at}: {what} at {offset}");
    }
}

#[test]
fn each_cut_is_found_where_it_is() {
    let good = small();
    for length in 0..good.len() {
        let (offset, what) = damage(read(&good[..length]));
        assert_eq!(offset, length as u64);
        assert!(what.starts_with("it ends"), "{what}");
    }
}

#[test]
fn what_follows_the_footer_is_found() {
    let good = small();
    for tail in [&b"\0"[..], b"more", &good, &good[parts(&good)[1].clone()]] {
        let (offset, what) = damage(read(&[&good[..], tail].concat()[..]));
        assert_eq!((offset, what), (good.len() as u64, "something follows the footer"));
    }
}

#[test]
fn blocks_that_are_left_out_doubled_or_swapped_are_found() {
    let good = small();
    let parts = parts(&good);
    let blocks = 1..parts.len() - 1;
    for block in blocks.clone() {
        let mut without = parts.clone();
        without.remove(block);
        damage(read(&assembled(&good, &without)[..]));
        for place in blocks.start..=blocks.end {
            let mut doubled = parts.clone();
            doubled.insert(place, parts[block].clone());
            damage(read(&assembled(&good, &doubled)[..]));
        }
        for other in blocks.clone().filter(|other| *other != block) {
            let mut swapped = parts.clone();
            swapped.swap(block, other);
            damage(read(&assembled(&good, &swapped)[..]));
        }
    }
    damage(read(&assembled(&good, &[parts[0].clone(), parts[parts.len() - 1].clone()])[..]));
}

#[test]
fn parts_of_two_dumps_do_not_make_one() {
    let one = small();
    let two = write(&entries(12), 64, Sequence::new(10)).unwrap().0;
    for part in parts(&one) {
        let mut mixed = one.clone();
        mixed[part.clone()].copy_from_slice(&two[part]);
        damage(read(&mixed[..]));
    }
}

#[test]
fn what_a_block_says_of_its_entries_is_checked() {
    let entry = |key: &str, value: &str| {
        let length = |text: &str| u32::try_from(text.len()).unwrap().to_be_bytes();
        [&length(key)[..], &length(value), key.as_bytes(), value.as_bytes()].concat()
    };
    let (a, b) = (entry("a", "1"), entry("b", "2"));
    let at = |offset: usize| (HEADER_BYTES + BLOCK_HEAD_BYTES + offset) as u64;
    let (first, second) = (at(0), at(a.len()));
    let end = |length: usize| at(length + CHECKSUM_BYTES);
    let (long_key, long_value) =
        ([&[0xff; 4][..], &[0; 4], b"a"].concat(), [&[0, 0, 0, 1][..], &[0xff; 4], b"a"].concat());
    for (entries, payload, offset, why) in [
        (2, [&a[..], &b].concat(), end(a.len() + b.len()), "without its footer"),
        (2, [&b[..], &a].concat(), second, "not greater"),
        (2, [&a[..], &a].concat(), second, "not greater"),
        (1, entry("", "1"), first, "zero byte"),
        (1, entry("\0", "1"), first, "zero byte"),
        (1, [&a[..], &b].concat(), second, "more or fewer entries"),
        (3, [&a[..], &b].concat(), at(a.len() + b.len()), "more or fewer entries"),
        (0, a.clone(), first, "more or fewer entries"),
        (2, [&a[..], &b[..b.len() - 1]].concat(), second, "longer than its block"),
        (2, [&a[..], &b[..7]].concat(), second, "longer than its block"),
        (1, long_key, first, "longer than its block"),
        (1, long_value, first, "longer than its block"),
        (0, Vec::new(), HEADER_BYTES as u64, "a length that no block has"),
        (1, vec![1; MAX_PAYLOAD_BYTES + 1], HEADER_BYTES as u64, "a length that no block has"),
    ] {
        let (found, what) = damage(read(&unfinished(entries, &payload)[..]));
        assert!(found == offset && what.contains(why), "{what} at {found}, expected: {why} at {offset}");
    }
}

#[test]
fn a_footer_of_other_entries_is_refused_though_its_checksum_is_right() {
    let (header, checksum) = Header { store_id: 0, sequence: Sequence::ZERO }.encode();
    let good = Footer { digest: SetDigest::default(), bytes: (HEADER_BYTES + FOOTER_BYTES) as u64 };
    let file = |footer: Footer| [&header[..], &footer.encode(checksum)].concat();
    assert_eq!(read(&file(good)[..]).unwrap().0, []);
    for wrong in [
        Footer { digest: SetDigest { entries: 1, sum: 0 }, ..good },
        Footer { digest: SetDigest { entries: 0, sum: 1 }, ..good },
        Footer { bytes: good.bytes + 1, ..good },
    ] {
        let expected = (HEADER_BYTES as u64, "the footer does not say what stands before it");
        assert_eq!(damage(read(&file(wrong)[..])), expected);
    }
}

#[test]
fn other_files_and_other_formats_are_told_apart_from_damage() {
    let error = read(&b"{\"json\": true, \"and\": \"no dump at all\"}"[..]).unwrap_err();
    assert!(matches!(error, DumpError::NotADump));
    assert!(matches!(read(&b"OFFS!"[..]), Err(DumpError::NotADump)));
    let mut header = small()[..HEADER_BYTES - CHECKSUM_BYTES].to_vec();
    header[8..12].copy_from_slice(&2_u32.to_be_bytes());
    seal(&mut header, 0);
    assert!(matches!(read(&header[..]), Err(DumpError::UnknownFormat { found: 2, known: FORMAT })));
}

/// Notes the largest read that is asked for, which tells how much memory waits for it.
struct Greed<'a> {
    bytes: &'a [u8],
    largest: usize,
}

impl Read for Greed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.largest = self.largest.max(buffer.len());
        self.bytes.read(buffer)
    }
}

#[test]
fn a_damaged_length_takes_little_memory() {
    let good = small();
    for length in [1 << 16, 1 << 20, 1 << 23, MAX_PAYLOAD_BYTES + 1, 1 << 31, u32::MAX as usize] {
        let mut bad = good.clone();
        bad[HEADER_BYTES + 4..HEADER_BYTES + 8].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        let mut greed = Greed { bytes: &bad, largest: 0 };
        damage(read(&mut greed));
        assert!(greed.largest <= 1 << 20, "{} bytes for a length of {length}", greed.largest);
    }
}

/// Fails after some bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::Error::other("a bad sector")) } else { self.0.read(buffer) }
    }
}

#[test]
fn an_input_that_fails_is_an_error_and_no_end() {
    let good = small();
    for length in 0..=good.len() {
        let outcome = read(Failing(&good[..length]));
        assert!(matches!(outcome, Err(DumpError::Io { .. })), "after {length} bytes");
    }
}

#[test]
fn an_error_is_the_last_thing_that_a_reader_says() {
    let mut bad = small();
    let second = parts(&bad)[2].clone();
    bad[second.end - 1] ^= 1;
    let mut reader = DumpReader::open(&bad[..]).unwrap();
    let good = reader.by_ref().take_while(Result::is_ok).count();
    assert!(good > 0, "the first block is as it was");
    assert!(reader.next().is_none());
    assert!(matches!(reader.finish(), Err(DumpError::Io { .. })));
    let whole = DumpReader::open(&bad[..]).unwrap();
    assert_eq!(damage(whole.finish()).0, second.start as u64);
}

#[test]
fn errors_say_where_and_what() {
    let error = read(&small()[..50]).unwrap_err();
    assert_eq!(error.to_string(), "the dump is damaged at byte 50: it ends within a block; use another copy of it");
}
