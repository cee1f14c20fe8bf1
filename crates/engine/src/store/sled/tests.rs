use super::*;
use crate::store::{Direction, KeyRange, Write};

fn put(key: &str, value: &str) -> Commit {
    let write = Write::Put(Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
    Commit { conditions: Vec::new(), writes: vec![write] }
}

fn commit(store: &impl Store, commit: Commit) {
    let Submitted::Applied(ticket) = store.submit(commit).unwrap() else { panic!("a conflict") };
    store.wait(ticket).unwrap();
}

#[test]
fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path(), &SledOptions::default()).unwrap();
    for i in 0..100 {
        commit(&store, put(&format!("key{i}"), "x"));
    }
    commit(&store, put("key1", "y"));
    store.close().unwrap();
    let store = SledStore::open(dir.path(), &SledOptions::default()).unwrap();
    assert_eq!(store.get(View::Durable, b"key1").unwrap().unwrap(), "y");
    let snap = store.snapshot(View::Durable).unwrap();
    assert_eq!(snap.range(&KeyRange::ALL, Direction::Descending).count(), 100);
    assert_eq!(snap.sequence(), Sequence::new(101));
}
