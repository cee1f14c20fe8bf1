//! The engine does what the naive model does.

use offshoot_engine::{
    MemoryStore, Options, SledOptions, SledStore,
    testing::steps::{check_against_model, steps},
};
use proptest::prelude::*;

fn cases(cases: u32) -> ProptestConfig {
    // PROPTEST_CASES asks for more, or fewer.
    let usual = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { usual.cases } else { cases };
    ProptestConfig { cases, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn memory_with_small_nodes_agrees_with_the_model(steps in steps(40)) {
        let store = MemoryStore::new();
        check_against_model(&steps, 300, &Options::default().with_small_nodes(), || store.clone())?;
    }

    #[test]
    fn sled_with_small_nodes_agrees_with_the_model(steps in steps(40)) {
        let directory = tempfile::tempdir()?;
        let open = || SledStore::open(directory.path(), &SledOptions::default()).expect("the store opens");
        check_against_model(&steps, 300, &Options::default().with_small_nodes(), open)?;
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn memory_with_usual_nodes_agrees_with_the_model(steps in steps(40)) {
        let store = MemoryStore::new();
        check_against_model(&steps, 2_000, &Options::default(), || store.clone())?;
    }

    #[test]
    fn sled_with_usual_nodes_agrees_with_the_model(steps in steps(40)) {
        let directory = tempfile::tempdir()?;
        let open = || SledStore::open(directory.path(), &SledOptions::default()).expect("the store opens");
        check_against_model(&steps, 2_000, &Options::default(), open)?;
    }
}
