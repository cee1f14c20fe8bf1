//! The race of branches: what Offshoot's engine does, against what a user would pick instead, with the same data and the same durability.
//!
//! Each contestant has a minute for each row, its data included; one that is not done by then is shown as stopped, with how far it came.

mod bytes;
mod cell;
mod charts;
mod commits;
mod contestants;
mod diff;
mod forks;
mod million;
mod reads;
mod stores;
mod table;

use std::{path::Path, time::Duration};

use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
};

pub(crate) use self::million::CHILDREN;
use self::{
    contestants::{COPY, NAMES, OFFSHOOT},
    reads::{TIGHT, WARM},
    table::Row,
};

/// Measures some rows, under a name for whoever waits.
type Group = (&'static str, fn() -> Outcome<Vec<Row>>);

/// Runs all rows, prints their table, draws the charts, and gives the bars.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the report goes to whoever ran the command")]
pub(crate) fn branches() -> Outcome<Vec<Bar>> {
    let groups: [Group; 7] = [
        ("reads", || reads::reads(&WARM)),
        ("reads with little cache", || reads::reads(&TIGHT)),
        ("forks", forks::by_size),
        ("points in time", forks::at_points),
        ("commits", commits::commits),
        ("diff", diff::diff),
        ("a million branches", million::million),
    ];
    let mut rows = Vec::new();
    for (name, group) in groups {
        eprintln!("branches: {name} ...");
        rows.extend(group()?);
    }
    println!("{}\n", table::table(&rows));
    charts::draw(&rows, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/race"))?;
    let mut bars: Vec<Bar> = rows.iter().flat_map(bars_of).collect();
    bars.extend(bytes::bytes()?);
    Ok(bars)
}

/// Offshoot against each peer that has a figure, and against the limits that a bar is on.
fn bars_of(row: &Row) -> Vec<Bar> {
    let Some(offshoot) = row.cells[OFFSHOOT].measured() else {
        return vec![Bar {
            name: row.name.clone(),
            measured: "Offshoot was stopped".to_owned(),
            value: f64::NAN,
            limit: Limit::Below(1.0),
        }];
    };
    let is_read = row.name.starts_with("get") || row.name.starts_with("list");
    let is_warm = row.name.ends_with(WARM.name);
    let peers = (1..NAMES.len()).filter_map(|peer| {
        let limit = if peer == COPY && is_read { Limit::AtMost(1.5) } else { Limit::Below(1.0) };
        Some((NAMES[peer], row.cells[peer].figure()?, limit))
    });
    let limits = row.limits.iter().filter_map(|(name, figure)| match *name {
        "hash map" if is_warm => Some((*name, *figure, Limit::AtMost(5.0))),
        "raw sled" if is_warm && row.name.starts_with("list") => Some((*name, *figure, Limit::AtMost(1.0))),
        _ => None,
    });
    peers.chain(limits).map(|(other, figure, limit)| ratio(row, offshoot, (other, figure), limit)).collect()
}

fn ratio(row: &Row, offshoot: f64, (other, figure): (&str, f64), limit: Limit) -> Bar {
    let name = format!("{}: Offshoot to {other}", row.name);
    match row.unit {
        table::Unit::Seconds => {
            let time = Duration::from_secs_f64;
            Bar::times(name, (NAMES[OFFSHOOT], time(offshoot)), (other, time(figure)), limit)
        }
        table::Unit::Bytes => {
            let measured = format!("{} {offshoot:.0} bytes / {other} {figure:.0} bytes", NAMES[OFFSHOOT]);
            Bar { name, measured, value: offshoot / figure, limit }
        }
    }
}
