//! The locks, atomics and threads of what `tests/interleavings` compiles a second time, with others in their place that try out who comes first.

pub(crate) use std::{sync::atomic, thread};

pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
