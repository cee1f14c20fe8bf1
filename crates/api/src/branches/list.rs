//! Which branches a list shows: search, order and pages.

use crate::{
    error::ApiError,
    input::{Flag, page_limit},
};
use offshoot_catalog::{self as catalog, Branch};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use utoipa::{IntoParams, ToSchema};

const PAGE_MAX: usize = 10_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchParams {
    /// Only branches whose name or id contains this, in upper or lower case.
    search: Option<String>,
}

impl SearchParams {
    pub(super) fn fits(&self, branch: &Branch) -> bool {
        self.search.as_ref().is_none_or(|search| {
            let search = search.to_lowercase();
            branch.id.as_str().contains(&search) || branch.name.as_str().to_lowercase().contains(&search)
        })
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only branches whose name or id contains this, in upper or lower case.
    search: Option<String>,
    /// `updated_at` unless given.
    sort_by: Option<SortBy>,
    /// `desc` unless given.
    sort_order: Option<SortOrder>,
    /// `pagination.next` of the page before; ask with the same order.
    cursor: Option<String>,
    /// 1 to 10000; all, where it is not given.
    limit: Option<usize>,
    /// Deleted branches that can be recovered, too.
    #[param(value_type = Option<bool>)]
    include_deleted: Option<Flag>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BranchSortBy)]
pub(super) enum SortBy {
    Name,
    CreatedAt,
    #[default]
    UpdatedAt,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SortOrder)]
pub(super) enum SortOrder {
    Asc,
    #[default]
    Desc,
}

/// Where the next page begins, if there is one.
#[derive(Serialize, ToSchema)]
pub(super) struct BranchPagination {
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    sort_by: SortBy,
    sort_order: SortOrder,
}

/// A list that was asked for.
pub(super) struct ListQuery {
    search: SearchParams,
    sort_by: SortBy,
    sort_order: SortOrder,
    after: Option<Place>,
    limit: Option<usize>,
}

/// A part of a list.
pub(super) struct BranchPage {
    pub(super) branches: Vec<Branch>,
    pub(super) pagination: Option<BranchPagination>,
}

/// Where a branch stands in a list; ids make the order total.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    key: SortKey,
    id: String,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum SortKey {
    Name(String),
    Micros(i64),
}

impl SortBy {
    fn place(self, branch: &Branch) -> Place {
        let key = match self {
            SortBy::Name => SortKey::Name(branch.name.to_string()),
            SortBy::CreatedAt => SortKey::Micros(branch.created_at.timestamp_micros()),
            SortBy::UpdatedAt => SortKey::Micros(branch.updated_at.timestamp_micros()),
        };
        Place { key, id: branch.id.to_string() }
    }

    /// Reads a cursor, which is a branch's id and what it is sorted by.
    fn read(self, cursor: String) -> Result<Place, ApiError> {
        let place = cursor.split_once('~').and_then(|(id, key)| {
            let key = match self {
                SortBy::Name => SortKey::Name(key.to_owned()),
                SortBy::CreatedAt | SortBy::UpdatedAt => SortKey::Micros(key.parse().ok()?),
            };
            Some(Place { key, id: id.to_owned() })
        });
        place.ok_or_else(|| catalog::Error::CursorInvalid { cursor }.into())
    }
}

impl Place {
    fn cursor(&self) -> String {
        match &self.key {
            SortKey::Name(name) => format!("{}~{name}", self.id),
            SortKey::Micros(micros) => format!("{}~{micros}", self.id),
        }
    }
}

impl SortOrder {
    fn compare(self, one: &Place, other: &Place) -> Ordering {
        match self {
            SortOrder::Asc => one.cmp(other),
            SortOrder::Desc => other.cmp(one),
        }
    }
}

impl ListParams {
    pub(super) fn with_deleted(&self) -> bool {
        self.include_deleted.is_some_and(|Flag(with)| with)
    }

    pub(super) fn read(self) -> Result<ListQuery, ApiError> {
        let sort_by = self.sort_by.unwrap_or_default();
        Ok(ListQuery {
            search: SearchParams { search: self.search },
            sort_by,
            sort_order: self.sort_order.unwrap_or_default(),
            after: self.cursor.map(|cursor| sort_by.read(cursor)).transpose()?,
            limit: self.limit.map(|limit| page_limit(Some(limit), PAGE_MAX, PAGE_MAX)).transpose()?,
        })
    }
}

impl ListQuery {
    /// The page that was asked for, of all branches of a project.
    pub(super) fn page_of(self, branches: Vec<Branch>) -> BranchPage {
        let compare = |one: &Place, other: &Place| self.sort_order.compare(one, other);
        let placed = branches.into_iter().filter(|branch| self.search.fits(branch));
        let placed = placed.map(|branch| (self.sort_by.place(&branch), branch));
        let mut placed: Vec<(Place, Branch)> = match &self.after {
            Some(after) => placed.filter(|(place, _)| compare(place, after).is_gt()).collect(),
            None => placed.collect(),
        };
        placed.sort_by(|(one, _), (other, _)| compare(one, other));
        let Some(limit) = self.limit else {
            return BranchPage { branches: without_places(placed), pagination: None };
        };
        let goes_on = placed.len() > limit;
        placed.truncate(limit);
        let next = placed.last().filter(|_| goes_on).map(|(place, _)| place.cursor());
        let pagination = BranchPagination { next, sort_by: self.sort_by, sort_order: self.sort_order };
        BranchPage { branches: without_places(placed), pagination: Some(pagination) }
    }
}

fn without_places(placed: Vec<(Place, Branch)>) -> Vec<Branch> {
    placed.into_iter().map(|(_, branch)| branch).collect()
}
