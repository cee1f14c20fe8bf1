//! The engine does what the naive model does.

use offshoot_engine::{
    MemoryStore, Options,
    testing::steps::{check_against_model, steps},
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn memory_with_small_nodes_agrees_with_the_model(steps in steps(40)) {
        let store = MemoryStore::new();
        check_against_model(&steps, 300, &Options::default().with_small_nodes(), || store.clone())?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn memory_with_usual_nodes_agrees_with_the_model(steps in steps(40)) {
        let store = MemoryStore::new();
        check_against_model(&steps, 2_000, &Options::default(), || store.clone())?;
    }
}
