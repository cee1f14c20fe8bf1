//! The first and the last key below each node of one namespace, in one piece of memory.

#[derive(Default)]
pub(super) struct Bounds {
    /// The keys, one after the other.
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

struct Span {
    start: usize,
    first_bytes: usize,
    last_bytes: usize,
}

impl Bounds {
    /// Notes the bounds of the next node; empty ones where there are no keys.
    pub(super) fn push(&mut self, first: &[u8], last: &[u8]) {
        self.spans.push(Span { start: self.bytes.len(), first_bytes: first.len(), last_bytes: last.len() });
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(last);
    }

    /// The bounds of the node that was noted at `index`; none where it has no keys, or where they are not known.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let span = self.spans.get(index)?;
        let (first, rest) = self.bytes.get(span.start..)?.split_at_checked(span.first_bytes)?;
        let last = rest.get(..span.last_bytes)?;
        // A key is never empty.
        (!first.is_empty() && !last.is_empty()).then_some((first, last))
    }
}
