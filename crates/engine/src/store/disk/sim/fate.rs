//! What becomes of that which was not durable when the power went.

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::content::{PAGE, Page};

const SECTOR: usize = 512;

pub(super) enum Fate {
    /// All of it got to the disk.
    Kept,
    /// Nothing of it got to the disk.
    Dropped,
    /// The dice decide.
    Drawn(Dice),
}

pub(super) struct Dice {
    random: SmallRng,
    /// How often something is kept, dropped, or kept in part.
    odds: [u32; 3],
}

#[derive(Clone, Copy)]
enum Outcome {
    Keep,
    Drop,
    Tear,
}

impl Fate {
    /// The odds are drawn as well, so that some cuts leave nearly all, some nearly nothing, and some a mess.
    pub(super) fn drawn(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let odds = [(); 3].map(|()| [1, 3, 30][random.random_range(0..3)]);
        Self::Drawn(Dice { random, odds })
    }

    /// Whether an operation on names got to the disk.
    pub(super) fn happens(&mut self) -> bool {
        match self {
            Self::Kept => true,
            Self::Dropped => false,
            Self::Drawn(dice) => match dice.roll() {
                Outcome::Keep => true,
                Outcome::Drop => false,
                Outcome::Tear => dice.random.random(),
            },
        }
    }

    /// A length between the durable one and the new one, or one of them.
    pub(super) fn len(&mut self, durable: usize, new: usize) -> usize {
        match self {
            Self::Kept => new,
            Self::Dropped => durable,
            Self::Drawn(_) if durable == new => new,
            Self::Drawn(dice) => match dice.roll() {
                Outcome::Keep => new,
                Outcome::Drop => durable,
                Outcome::Tear => dice.random.random_range(durable.min(new)..=durable.max(new)),
            },
        }
    }

    /// A page that was changed, where `older` begins with the durable one and goes on with those that were seen before `new`.
    pub(super) fn page(&mut self, older: &[Page], new: &Page) -> Page {
        match self {
            Self::Kept => new.clone(),
            Self::Dropped => older[0].clone(),
            Self::Drawn(dice) => match dice.roll() {
                Outcome::Keep => new.clone(),
                Outcome::Drop => older[0].clone(),
                Outcome::Tear => dice.tear(older, new),
            },
        }
    }
}

impl Dice {
    fn roll(&mut self) -> Outcome {
        let [keep, drop, tear] = self.odds;
        match self.random.random_range(0..keep + drop + tear) {
            roll if roll < keep => Outcome::Keep,
            roll if roll < keep + drop => Outcome::Drop,
            _ => Outcome::Tear,
        }
    }

    /// A page with each sector from any of the pages that were, and at times with one that is cut within.
    fn tear(&mut self, older: &[Page], new: &Page) -> Page {
        let mut torn = Page::default();
        for start in (0..PAGE).step_by(SECTOR) {
            let sector = start..start + SECTOR;
            torn.bytes_mut()[sector.clone()].copy_from_slice(&self.any(older, new).bytes()[sector]);
        }
        if self.random.random_ratio(1, 4) {
            let cut = self.random.random_range(0..PAGE);
            let rest = cut..cut.next_multiple_of(SECTOR);
            torn.bytes_mut()[rest.clone()].copy_from_slice(&self.any(older, new).bytes()[rest]);
        }
        torn
    }

    fn any<'a>(&mut self, older: &'a [Page], new: &'a Page) -> &'a Page {
        older.get(self.random.random_range(0..=older.len())).unwrap_or(new)
    }
}
