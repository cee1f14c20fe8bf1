//! Lists that come in pages.

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// The cursor to ask for the next part with, as it is; nothing at the end of the list, which may be an empty page.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The page of up to `limit` of `items`, of which there is one more where the list goes on.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let goes_on = items.len() > limit;
        items.truncate(limit);
        let next = if goes_on { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}
