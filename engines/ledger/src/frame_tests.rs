use super::*;
use proptest::prelude::*;

/// A log of these batches, as a file, with the offsets at which its frames begin.
fn written(batches: &[Vec<Vec<u8>>]) -> (Vec<u8>, Log, Vec<u64>) {
    let (mut log, mut file) = Log::new("example.com/log").unwrap();
    let mut starts = Vec::new();
    for batch in batches {
        starts.push(log.end());
        log.append(batch, &mut file, |_, _| {}).unwrap();
        assert_eq!(log.end(), file.len() as u64);
    }
    (file, log, starts)
}

fn read(file: &[u8], signed: u64) -> Result<(Scanned, Vec<Vec<u8>>), Error> {
    let mut entries = Vec::new();
    let each = |entry: Entry<'_>| {
        assert_eq!(entry.index, entries.len() as u64);
        let at = entry.offset as usize + 2;
        assert_eq!(file[at..at + entry.bytes.len()], *entry.bytes);
        entries.push(entry.bytes.to_vec());
        Ok(())
    };
    let scanned = scan(file, signed, each, |_, _| Ok(()))?;
    Ok((scanned, entries))
}

fn batches(sizes: &[usize]) -> Vec<Vec<Vec<u8>>> {
    let mut number = 0u32;
    let mut entry = || {
        number += 1;
        format!(
            "{{\"record\":{number},\"text\":\"{}\"}}",
            "x".repeat(number as usize % 40)
        )
        .into_bytes()
    };
    sizes
        .iter()
        .map(|n| (0..*n).map(|_| entry()).collect())
        .collect()
}

#[test]
fn what_was_written_is_read() {
    for sizes in [&[][..], &[1], &[3, 1, 700, 2]] {
        let batches = batches(sizes);
        let (file, log, _) = written(&batches);
        for room in [0, 1, 19, 20, 70_000] {
            let file = [&file[..], &vec![0; room]].concat();
            let (scanned, entries) = read(&file, log.size()).unwrap();
            assert_eq!(scanned.tail, Tail::Clean);
            assert_eq!(scanned.length, file.len() as u64);
            assert_eq!(scanned.log.root(), log.root());
            assert_eq!(scanned.log.digest, log.digest);
            assert_eq!(scanned.log.end(), log.end());
            assert_eq!(entries, batches.concat());
        }
    }
}

/// The part of the file that a record or, for other bytes, a frame takes.
fn expected(starts: &[u64], batches: &[Vec<Vec<u8>>], at: u64) -> Option<(u64, u64)> {
    let frame = starts.iter().rposition(|start| *start <= at)?;
    let first: usize = batches[..frame].iter().map(Vec::len).sum();
    let mut offset = starts[frame] + HEADER as u64;
    for (number, entry) in batches[frame].iter().enumerate() {
        let end = offset + 2 + entry.len() as u64;
        if (offset..end).contains(&at) {
            let record = (first + number) as u64;
            return Some((record, record));
        }
        offset = end;
    }
    Some((first as u64, (first + batches[frame].len() - 1) as u64))
}

#[test]
fn every_flipped_bit_is_found_where_it_is() {
    let batches = batches(&[3, 1, 5, 2]);
    let (file, log, starts) = written(&batches);
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut bad = file.clone();
            bad[at] ^= 1 << bit;
            // A signed log: everything is damage.
            let Error::Damage(damage) = read(&bad, log.size()).unwrap_err() else {
                panic!("byte {at} bit {bit}: not found");
            };
            let shown = damage.to_string();
            let offset = damage.offset.unwrap();
            if let Some((first, last)) = expected(&starts, &batches, at as u64) {
                let (a, b) = damage.records.unwrap();
                assert!(first <= b && a <= last, "byte {at} bit {bit}: {shown}");
                let frame = starts
                    .iter()
                    .rposition(|start| *start <= at as u64)
                    .unwrap();
                assert!(offset >= starts[frame], "byte {at} bit {bit}: {shown}");
                let next = starts.get(frame + 1).copied().unwrap_or(log.end());
                assert!(offset < next, "byte {at} bit {bit}: {shown}");
            } else {
                assert!(
                    offset < starts[0] || damage.records == Some((0, 2)),
                    "{shown}"
                );
            }
            // Without a checkpoint, only the last frame can pass for an interrupted write.
            match read(&bad, 0) {
                Err(Error::Damage(_)) => {}
                Ok((scanned, entries)) => {
                    let last = starts[starts.len() - 1];
                    assert!(at as u64 >= last, "byte {at} bit {bit}");
                    assert!(matches!(scanned.tail, Tail::Torn { offset, .. } if offset == last));
                    assert_eq!(entries.len(), 9);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_the_room_behind_is_found() {
    let (mut file, log, _) = written(&batches(&[2, 1]));
    let end = file.len();
    file.resize(end + 64, 0);
    for at in end..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 1;
        let (scanned, _) = read(&bad, log.size()).unwrap();
        assert!(matches!(scanned.tail, Tail::Torn { offset, .. } if offset == end as u64));
    }
}

#[test]
fn every_cut_is_an_interrupted_write_or_damage() {
    let batches = batches(&[2, 3, 1]);
    let (file, log, starts) = written(&batches);
    for length in 0..file.len() {
        for room in [0, 100] {
            let cut = [&file[..length], &vec![0; room]].concat();
            assert!(read(&cut, log.size()).is_err(), "{length}");
            let whole = starts
                .iter()
                .filter(|start| **start <= length as u64)
                .count();
            match read(&cut, 0) {
                Err(_) => assert!((length as u64) < starts[0], "{length}"),
                Ok((scanned, entries)) => {
                    let kept = whole.saturating_sub(1);
                    assert_eq!(entries, batches[..kept].concat(), "{length}");
                    let at_edge = starts.contains(&(length as u64));
                    // Zeros that a frame happens to end in are zeros again with room behind it.
                    assert_eq!(scanned.tail == Tail::Clean, at_edge, "{length} {room}");
                    assert_eq!(scanned.log.end(), starts[kept]);
                }
            }
        }
    }
}

#[test]
fn frames_in_another_order_or_from_another_log_are_damage() {
    let batches = batches(&[2, 2, 2]);
    let (file, _, starts) = written(&batches);
    let [a, b, c] = [starts[0] as usize, starts[1] as usize, starts[2] as usize];
    let swapped = [&file[..a], &file[b..c], &file[a..b], &file[c..]].concat();
    assert!(read(&swapped, 0).is_err());
    let missing = [&file[..a], &file[b..]].concat();
    assert!(read(&missing, 0).is_err());
    let twice = [&file[..b], &file[a..]].concat();
    assert!(read(&twice, 0).is_err());
    let other = String::from_utf8_lossy(&file[..a]).replace("example", "exempla");
    assert!(read(&[other.as_bytes(), &file[a..]].concat(), 0).is_err());
}

#[test]
fn bounds_leave_the_log_as_it_was() {
    let (mut log, mut file) = Log::new("o").unwrap();
    let before = file.clone();
    let long = vec![vec![0; bundle::ENTRY_MAX + 1]];
    let many = vec![vec![]; ENTRIES_MAX + 1];
    let heavy = vec![vec![0; 65_000]; 300];
    for bad in [vec![], long, many, heavy] {
        assert!(log.append(&bad, &mut file, |_, _| {}).is_err());
        assert_eq!((log.size(), &file), (0, &before));
    }
    for origin in ["", "a\nb", &"x".repeat(256)] {
        assert!(Log::new(origin).is_err());
    }
}

#[test]
fn a_walk_gives_a_range_and_finds_damage() {
    let batches = batches(&[3, 1, 5, 2]);
    let (file, _, starts) = written(&batches);
    let all = batches.concat();
    let firsts = [0, 3, 4, 9];
    for (frame, first) in firsts.into_iter().enumerate() {
        let at = starts[frame];
        for end in first..=all.len() as u64 {
            let mut got = Vec::new();
            let each = |entry: Entry<'_>| {
                got.push(entry.bytes.to_vec());
                Ok(true)
            };
            walk(&file[at as usize..], at, first, end, each).unwrap();
            assert_eq!(got, all[first as usize..end as usize]);
        }
    }
    let at = starts[2] as usize;
    let mut bad = file.clone();
    bad[at + HEADER + 4] ^= 1;
    let error = walk(&bad[at..], starts[2], 4, 9, |_| Ok(true)).unwrap_err();
    assert!(error.to_string().contains("record 4"), "{error}");
    assert!(walk(&file[at..], starts[2], 3, 9, |_| Ok(true)).is_err());
    assert!(walk(&file[at..], starts[2], 4, 99, |_| Ok(true)).is_err());
    walk(&file[at..], starts[2], 4, 99, |_| Ok(false)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_batches_round_trip(
        batches in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..20), 0..8)
    ) {
        let (file, log, _) = written(&batches);
        let (scanned, entries) = read(&file, log.size()).unwrap();
        prop_assert_eq!(scanned.log.root(), log.root());
        prop_assert_eq!(entries, batches.concat());
    }

    #[test]
    fn the_reader_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_, mut file) = Log::new("o").unwrap();
        let _ = read(&bytes, 0);
        file.extend_from_slice(&MAGIC);
        file.extend_from_slice(&bytes);
        let _ = read(&file, 0);
    }
}
