//! What one file holds: as the program sees it, and what the disk may have of it.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::fate::Fate;

pub(super) const PAGE: usize = 4096;

/// The bytes of a page, shared until one of those who have it changes them; none at all are zeros.
#[derive(Clone, Default)]
pub(super) struct Page(Option<Arc<[u8; PAGE]>>);

impl Page {
    pub(super) fn bytes(&self) -> &[u8; PAGE] {
        static ZEROS: [u8; PAGE] = [0; PAGE];
        self.0.as_deref().unwrap_or(&ZEROS)
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8; PAGE] {
        Arc::make_mut(self.0.get_or_insert_with(|| Arc::new([0; PAGE])))
    }
}

/// What the disk may have of a page that it need not have as the program sees it.
#[derive(Clone, Default)]
struct Unsynced {
    /// The durable page, and after it those that came since, without the one that the program sees.
    older: Vec<Page>,
    /// A sync failed, and nothing was written since: the system holds the page for clean, and does not write it any more.
    lost: bool,
}

/// A file's pages. Bytes beyond a length are zeros.
#[derive(Clone, Default)]
pub(super) struct Content {
    pages: Vec<Page>,
    len: usize,
    unsynced: BTreeMap<usize, Unsynced>,
    durable_len: usize,
    /// The length changed after the last sync, be it one that failed.
    resized: bool,
}

impl Content {
    /// A file with these bytes, all of them durable.
    pub(super) fn durable(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(bytes, 0);
        content.after_cut(&mut Fate::Kept)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing that a sync could write.
    pub(super) fn is_synced(&self) -> bool {
        self.unsynced.values().all(|page| page.lost)
    }

    /// Reads into the beginning of the buffer, and says how many bytes.
    pub(super) fn read(&self, buffer: &mut [u8], offset: usize) -> usize {
        let read = buffer.len().min(self.len.saturating_sub(offset));
        let mut rest = &mut buffer[..read];
        for (index, inside) in parts(offset, read) {
            let (part, later) = rest.split_at_mut(inside.len());
            part.copy_from_slice(&self.pages[index].bytes()[inside]);
            rest = later;
        }
        read
    }

    /// Writes all bytes, and grows where they reach beyond the end.
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if !bytes.is_empty() && end > self.len {
            self.len = end;
            self.resized = true;
            self.pages.resize(end.div_ceil(PAGE), Page::default());
        }
        let mut rest = bytes;
        for (index, inside) in parts(offset, bytes.len()) {
            let (part, later) = rest.split_at(inside.len());
            self.touch(index);
            self.pages[index].bytes_mut()[inside].copy_from_slice(part);
            rest = later;
        }
    }

    pub(super) fn truncate(&mut self) {
        (0..self.pages.len()).for_each(|index| self.touch(index));
        self.pages.clear();
        self.resized |= self.len > 0;
        self.len = 0;
    }

    /// Keeps what a page is before it is changed.
    fn touch(&mut self, index: usize) {
        let page = self.unsynced.entry(index).or_default();
        // A lost page never gets to the disk as it is.
        if !page.lost {
            page.older.push(self.pages[index].clone());
        }
        page.lost = false;
    }

    pub(super) fn sync(&mut self) {
        self.durable_len = self.len_after_sync();
        let pages = if self.resized { self.pages.len() } else { usize::MAX };
        self.unsynced.retain(|index, page| page.lost && *index < pages);
        self.resized = false;
    }

    /// As Linux does it: what was written stays to be seen, and is not tried again.
    pub(super) fn fail_sync(&mut self) {
        for page in self.unsynced.values_mut() {
            page.older.truncate(1);
            page.lost = true;
        }
        self.resized = false;
    }

    /// The length that a sync would make durable. One that a failed sync lost comes back as far as pages are written again.
    fn len_after_sync(&self) -> usize {
        if self.resized {
            return self.len;
        }
        let written = self.unsynced.iter().rev().find(|(_, page)| !page.lost);
        let end = written.map_or(0, |(index, _)| (index + 1) * PAGE);
        self.durable_len.max(end.min(self.len))
    }

    /// The file as a loss of power leaves it.
    pub(super) fn after_cut(&self, fate: &mut Fate) -> Self {
        if matches!(fate, Fate::Kept) {
            return Self::settled(self.pages.clone(), self.len);
        }
        let mut pages = self.pages.clone();
        if let Some((last, _)) = self.unsynced.last_key_value() {
            pages.resize(pages.len().max(last + 1), Page::default());
        }
        for (index, unsynced) in &self.unsynced {
            let page = &mut pages[*index];
            *page = if unsynced.lost { unsynced.older[0].clone() } else { fate.page(&unsynced.older, page) };
        }
        Self::settled(pages, fate.len(self.durable_len, self.len_after_sync()))
    }

    /// A durable file with these pages up to this length.
    fn settled(mut pages: Vec<Page>, len: usize) -> Self {
        pages.resize(len.div_ceil(PAGE), Page::default());
        if !len.is_multiple_of(PAGE)
            && let Some(last) = pages.last_mut()
            && last.bytes()[len % PAGE..].iter().any(|byte| *byte != 0)
        {
            last.bytes_mut()[len % PAGE..].fill(0);
        }
        Self { pages, len, durable_len: len, ..Self::default() }
    }
}

/// The pages that a range of a file touches, and what it touches of each.
fn parts(offset: usize, len: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let end = offset + len;
    let pages = if len == 0 { 0..0 } else { offset / PAGE..end.div_ceil(PAGE) };
    pages.map(move |index| {
        let start = index * PAGE;
        (index, offset.max(start) - start..end.min(start + PAGE) - start)
    })
}
