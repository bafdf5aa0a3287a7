use lookalike_core::{Host, Streams, below};

use super::*;

/// No memory for rows, and how much of it is held.
struct Scarce;

impl Host for Scarce {
    fn cancelled(&self) -> bool {
        false
    }
    fn grow(&self, bytes: usize, purpose: &str) -> Result<()> {
        match purpose {
            "encoded training rows" => Err(Error::resources(format!("{bytes} bytes for {purpose}"))),
            _ => Ok(()),
        }
    }
    fn shrink(&self, _: usize) {}
    fn count(&self, _: &'static str, _: usize) {}
    fn progress(&self, _: &'static str, _: u64, _: u64) {}
}

/// Six tracks of three columns.
fn tracks(column: usize, rows: usize) -> Vec<Track> {
    let rng = &mut Streams::new(column as u64, "tracks").block(0);
    let mut choices = || Track::Choice((0..rows).map(|_| below(rng, 60_000) as u16).collect());
    let scalars = || Track::Scalar((0..rows).map(|r| (r as f32 - 7.5) / 3.0).collect());
    match column {
        0 => vec![scalars(), choices()],
        1 => vec![Track::Omitted],
        _ => vec![choices(), choices(), scalars()],
    }
}

#[test]
fn rows_on_disk_read_as_those_in_memory() {
    // The last of more blocks than are held is not full.
    let rows = BLOCKS * BLOCK + 3 * BLOCK + 100;
    let of = |job: &Job| EncodedRows::of(rows, 3, 14, true, job, |c| Ok(tracks(c, rows))).unwrap();
    let (memory, disk) = (of(&Job::unbounded()), of(&Job::new(Arc::new(Scarce))));
    assert_eq!((memory.is_on_disk(), disk.is_on_disk(), disk.rows()), (false, true, rows));
    (0..6).for_each(|t| assert!(memory.track(t).unwrap() == disk.track(t).unwrap(), "track {t}"));
    let rng = &mut Streams::new(9, "picks").block(0);
    for near in [usize::MAX, 1000, 20] {
        for _ in 0..100 {
            let start = below(rng, rows);
            let picks: Vec<u32> = (0..50).map(|_| ((start + below(rng, near.min(rows))) % rows) as u32).collect();
            assert_eq!(memory.gather(&picks).unwrap(), disk.gather(&picks).unwrap());
        }
    }
    for range in [0..0, 0..1, rows - 1..rows, BLOCK - 3..2 * BLOCK + 5] {
        assert_eq!(memory.range(range.clone()).unwrap(), disk.range(range).unwrap());
    }
    let all = memory.range(0..rows).unwrap();
    let picks = [(rows - 1) as u32, 0, 5];
    let by_hand = all.tracks.iter().map(|t| t.gather(&picks)).collect::<Vec<_>>();
    assert_eq!(disk.gather(&picks).unwrap(), Compact { rows: 3, tracks: by_hand });
}

#[test]
fn rows_stay_in_memory_unless_they_may_leave_it() {
    let refused = EncodedRows::of(10, 3, 14, false, &Job::new(Arc::new(Scarce)), |c| Ok(tracks(c, 10))).unwrap_err();
    assert_eq!(refused.message(), "140 bytes for encoded training rows");
}
