//! Medians over the rounds, ratios within them, as a table.

use super::cases::{Case, POOLERS};
use super::pgbench::Sample;
use super::poolers::Kind;
use std::collections::BTreeMap;

/// What was measured: the samples of each round by the case's place and who carried it.
pub(crate) type Samples = BTreeMap<(usize, Kind), Vec<Sample>>;

/// Prints three tables: queries a second, latency, CPU.
pub(crate) fn print(cases: &[Case], samples: &Samples) {
    println!("\nqueries a second: median (ratio to pgbouncer)");
    print_figure(cases, samples, |sample| Some(sample.tps));
    println!("\nmean latency, µs: median (ratio to pgbouncer)");
    print_figure(cases, samples, |sample| Some(sample.latency_us));
    println!("\nthe pooler's CPU, µs a query: median, and the median of the rounds' ratios");
    println!(
        "| {:<30} | {:>10} | {:>10} | {:>6} | {:>14} |",
        "case", "pgbouncer", "howdah", "ratio", "limit"
    );
    println!("|{:-<32}|{:-<12}|{:-<12}|{:-<8}|{:-<16}|", "", "", "", "", "");
    for (index, case) in cases.iter().enumerate() {
        let [theirs, ours] = POOLERS.map(|kind| figures(samples, index, kind, |sample| sample.cpu_us));
        let ratio = ratio(&ours, &theirs);
        let verdict = case.cpu_limit().map_or(String::new(), |limit| {
            format!("{limit:.2} {}", if ratio <= limit { "held" } else { "missed" })
        });
        let (theirs, ours) = (median(&theirs), median(&ours));
        println!(
            "| {:<30} | {theirs:>10.1} | {ours:>10.1} | {ratio:>6.2} | {verdict:>14} |",
            case.to_string()
        );
    }
}

/// One table of a figure that all three have.
fn print_figure(cases: &[Case], samples: &Samples, figure: impl Fn(&Sample) -> Option<f64>) {
    println!("| {:<30} | {:>10} | {:>10} | {:>18} |", "case", "direct", "pgbouncer", "howdah");
    println!("|{:-<32}|{:-<12}|{:-<12}|{:-<20}|", "", "", "", "");
    for (index, case) in cases.iter().enumerate() {
        let of = |kind| figures(samples, index, kind, &figure);
        let (direct, theirs, ours) = (of(Kind::Direct), of(Kind::PgBouncer), of(Kind::Howdah));
        let shown = format!("{:.0} ({:.2})", median(&ours), ratio(&ours, &theirs));
        println!(
            "| {:<30} | {:>10.0} | {:>10.0} | {shown:>18} |",
            case.to_string(),
            median(&direct),
            median(&theirs)
        );
    }
}

/// A figure of all rounds.
fn figures(samples: &Samples, case: usize, kind: Kind, figure: impl Fn(&Sample) -> Option<f64>) -> Vec<f64> {
    samples.get(&(case, kind)).into_iter().flatten().filter_map(figure).collect()
}

/// The median of the ratios within each round: what a busy machine did to a round, it did to both.
pub(crate) fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    let paired: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    median(&paired)
}

/// The median, the mean of the middle two when there are two; not a number when there is none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (count, middle) if count % 2 == 1 => sorted[middle],
        (_, middle) => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}
