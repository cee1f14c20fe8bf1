//! For how long history is kept.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    Engine, NamespaceId, Transaction,
    codec::{self, key, record},
    error::Error,
    store::View,
};

impl Transaction<'_> {
    /// Sets the namespace's retention window: for how long a version can be read after another one took its place on its branch. With
    /// none, which is how a namespace begins, history is kept for ever.
    ///
    /// The window is what is kept at least. What is older goes when the [collector](Engine::collector) comes by: then the branch's history
    /// begins with the version that was current at the window's start, and does not begin earlier again when the window gets longer. What heads,
    /// forks, pins and open versions need is kept in any case.
    ///
    /// # Errors
    ///
    /// [`Error::NamespaceNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn set_retention(&mut self, namespace: NamespaceId, window: Option<Duration>) -> Result<(), Error> {
        self.require_namespace(namespace)?;
        let key = key::window(namespace);
        let value = match window {
            None => None,
            Some(window) => {
                let micros = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
                Some(codec::seal(&key, &record::Window { micros })?.0)
            }
        };
        self.write(key, value);
        Ok(())
    }

    /// The namespace's retention window; none where history is kept for ever.
    ///
    /// # Errors
    ///
    /// [`Error::NamespaceNotFound`], [`Error::Corrupt`], [`Error::Store`].
    pub fn retention(&mut self, namespace: NamespaceId) -> Result<Option<Duration>, Error> {
        self.require_namespace(namespace)?;
        let key = key::window(namespace);
        self.store_get(&key)?.map(|value| decode(&key, &value)).transpose()
    }
}

impl Engine {
    /// The namespace's retention window; none where history is kept for ever, or where there is no such namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn retention(&self, namespace: NamespaceId) -> Result<Option<Duration>, Error> {
        let key = key::window(namespace);
        let value = self.inner().store.get(View::Durable, &key)?;
        value.map(|value| decode(&key, &value)).transpose()
    }
}

pub(crate) fn decode(key: &Bytes, value: &Bytes) -> Result<Duration, Error> {
    Ok(Duration::from_micros(codec::open::<record::Window>(key, value)?.0.micros))
}
