//! Charts of the rows that make a curve.

use std::{fs, path::Path};

use offshoot_benches::Outcome;
use plotters::prelude::*;

use super::{
    cell::Cell,
    contestants::NAMES,
    table::{Row, Unit},
};

const SIZE: (u32, u32) = (760, 430);
/// Colours that people who confuse red and green tell apart.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];
/// The limits of the machine that a chart has, in greys.
const LIMITS: [(&str, RGBColor); 2] = [("hash map", RGBColor(165, 165, 165)), ("raw sled", RGBColor(90, 90, 90))];

/// Rows whose names begin and end so make a curve each, by the number in between.
struct Chart {
    file: &'static str,
    title: &'static str,
    axis: &'static str,
    prefix: &'static str,
    suffix: &'static str,
}

const CHARTS: [Chart; 3] = [
    Chart {
        file: "get.svg",
        title: "One role, by depth of the branch tree",
        axis: "generations below the root",
        prefix: "get, depth ",
        suffix: ", warm",
    },
    Chart {
        file: "list.svg",
        title: "A list of 20 roles, by depth of the branch tree",
        axis: "generations below the root",
        prefix: "list of 20, depth ",
        suffix: ", warm",
    },
    Chart {
        file: "fork.svg",
        title: "A fork, made durable, by size of the branch",
        axis: "roles of the branch",
        prefix: "fork of ",
        suffix: " roles",
    },
];

/// Draws all charts into a directory.
pub(crate) fn draw(rows: &[Row], directory: &Path) -> Outcome<()> {
    fs::create_dir_all(directory)?;
    CHARTS.iter().try_for_each(|chart| chart.draw(rows, directory))
}

type Points = Vec<(f64, f64)>;

impl Chart {
    /// The rows of this chart by their number.
    fn rows<'a>(&self, rows: &'a [Row]) -> Vec<(f64, &'a Row)> {
        let number = |name: &str| name.strip_prefix(self.prefix)?.strip_suffix(self.suffix)?.parse().ok();
        rows.iter().filter_map(|row| Some((number(&row.name)?, row))).collect()
    }

    fn draw(&self, rows: &[Row], directory: &Path) -> Outcome<()> {
        let rows = self.rows(rows);
        let mut curves: Vec<(&str, RGBColor, Points)> = Vec::new();
        for (number, name) in NAMES.iter().enumerate() {
            // Where it was stopped it was measured too, but not at this number.
            let point = |(x, row): &(f64, &Row)| match row.cells[number] {
                Cell::Measured(seconds) => Some((*x, seconds)),
                Cell::Stopped { at, figure: Some(seconds) } => Some((at, seconds)),
                _ => None,
            };
            let mut points: Points = rows.iter().filter_map(point).collect();
            points.dedup_by(|next, before| next.0 <= before.0);
            curves.push((name, COLOURS[number], points));
        }
        for (limit, colour) in LIMITS {
            let points: Points = rows.iter().filter_map(|(x, row)| Some((*x, row.limit(limit)?))).collect();
            if !points.is_empty() {
                curves.push((limit, colour, points));
            }
        }
        curve_chart(&directory.join(self.file), (self.title, self.axis), &curves)
    }
}

fn curve_chart(path: &Path, (title, axis): (&str, &str), curves: &[(&str, RGBColor, Points)]) -> Outcome<()> {
    let all = || curves.iter().flat_map(|(_, _, points)| points);
    let span = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) =
            all().map(of).fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        low * 0.7..high * 1.5
    };
    let (xs, ys) = (span(|point| point.0), span(|point| point.1));
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(xs.log_scale(), ys.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .x_desc(axis)
        .label_style(("sans-serif", 13))
        .y_label_formatter(&|seconds| Unit::Seconds.show_round(*seconds))
        .x_label_formatter(&|count| format!("{count:.0}"))
        .draw()?;
    for (name, colour, points) in curves {
        let (colour, points) = (*colour, points.clone());
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(225, 225, 225))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(root.present()?)
}
