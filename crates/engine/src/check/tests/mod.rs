//! A sound store is sound; damage of any kind is found, and named.

mod by_hand;
mod damage;
mod sound;
mod world;

use bytes::Bytes;

use super::{Finding, Problem, Report, check};
use crate::{Error, MemoryStore, NamespaceId};

const SYSTEM: NamespaceId = NamespaceId::SYSTEM;

fn report(store: &MemoryStore) -> Result<Report, Error> {
    check(store, &mut |_| {})
}

fn copy(store: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::new();
    store.entries().into_iter().for_each(|(key, value)| copy.tamper(key, Some(value)));
    copy
}

fn keys(report: &Report) -> Vec<Bytes> {
    report.findings.iter().map(|finding| Bytes::copy_from_slice(&finding.key)).collect()
}

/// The only finding.
#[track_caller]
fn only(report: &Report) -> &Finding {
    let [finding] = &report.findings[..] else { panic!("one finding was expected: {report}") };
    finding
}

/// That there is one finding, under this key, of this kind, with these words in it.
#[track_caller]
fn assert_only(report: &Report, key: &[u8], problem: Problem, words: &str) {
    let finding = only(report);
    assert_eq!((&finding.key[..], finding.problem), (key, problem), "{report}");
    assert!(finding.what.contains(words), "{report}");
    assert!(!report.is_sound());
}

fn put(store: &MemoryStore, entry: (Bytes, Bytes)) {
    store.tamper(entry.0, Some(entry.1));
}

#[test]
fn an_empty_store_is_sound() -> Result<(), Error> {
    let report = report(&MemoryStore::new())?;
    assert!(report.is_sound());
    assert_eq!(report.total().number, 0);
    Ok(())
}

#[test]
fn findings_beyond_the_limit_are_counted() -> Result<(), Error> {
    let store = world::world()?.store;
    for number in 0..1_100_u16 {
        put(&store, (Bytes::from(format!("z{number}")), Bytes::new()));
    }
    let report = report(&store)?;
    assert_eq!((report.findings.len(), report.more_findings), (super::MAX_FINDINGS, 100));
    assert!(report.to_string().contains("1,100 things are wrong"), "{report}");
    let none_kept = Report { findings: Vec::new(), ..report };
    assert!(!none_kept.is_sound(), "what is only counted is wrong all the same");
    Ok(())
}

#[test]
fn progress_comes_often_and_ends_with_everything() -> Result<(), Error> {
    let store = world::world()?.store;
    (0..5_000_u16).for_each(|number| put(&store, (Bytes::from(format!("z{number}")), Bytes::from("1"))));
    let mut calls = Vec::new();
    let report = check(&store, &mut |progress| calls.push(progress))?;
    assert!(calls.len() > 4 && calls.is_sorted_by_key(|progress| progress.keys));
    let last = calls.last().map(|progress| (progress.keys, progress.bytes));
    assert_eq!(last, Some((report.total().number, report.total().bytes)));
    Ok(())
}
