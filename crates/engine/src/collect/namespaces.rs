//! Removes all that a deleted namespace has left.

use bytes::Bytes;

use super::{Flow, batch::Batch};
use crate::{NamespaceId, codec::key, error::Error, store::Direction};

/// All kinds of keys that a namespace has, apart from its own record, which went when it was deleted.
const TAGS: &[u8] = b"abdgpqrtuvwx";

/// Removes some, or all, of it.
pub(super) fn wipe(batch: &mut Batch<'_>, namespace: NamespaceId, note: &Bytes) -> Result<Flow, Error> {
    if batch.inner.versions.is_any_open(namespace) {
        batch.count_look();
        return Ok(Flow::Done);
    }
    let mark = key::deleted_namespace(namespace);
    let mut found = false;
    for tag in TAGS {
        for entry in batch.view.range(&key::of_namespace(*tag, namespace), Direction::Ascending) {
            let (key, value) = entry?;
            if key == mark || key == note {
                continue;
            }
            found = true;
            match tag {
                b'd' => batch.count(|removed| removed.nodes += 1),
                b'v' => batch.count(|removed| removed.versions += 1),
                b'x' => batch.count(|removed| removed.branches += 1),
                _ => {}
            }
            batch.remove(key, value.len());
            match batch.flush_if_large()? {
                Flow::Done => {}
                flow => return Ok(flow),
            }
        }
    }
    if found {
        return batch.flush();
    }
    // Transactions that wrote to it and began before it was deleted have ended. If one wrote in between, the next round finds that.
    for tag in TAGS {
        batch.depends_on(key::of_namespace(*tag, namespace));
    }
    batch.remove_if_there(mark)?;
    batch.remove_if_there(note.clone())?;
    batch.count(|removed| removed.namespaces += 1);
    batch.flush()
}
