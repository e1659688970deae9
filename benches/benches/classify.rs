//! What classification costs a query, by how much of its text was seen before: all of it (a look-up by its bytes), all
//! but a constant (a look-up by its shape), or a text of a shape that is new (a parse).

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use howdah_benches::{Changing, LONG_CTE, ORM_SELECT, PGBENCH_SELECT, PGBENCH_UPDATE, Template};
use howdah_classifier::{Classifier, Context, Options, Route};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("classify");
    for (name, text, route) in [
        ("pgbench select", PGBENCH_SELECT, Route::Replica),
        ("pgbench update", PGBENCH_UPDATE, Route::Primary),
        ("ORM select", ORM_SELECT, Route::Replica),
        ("long CTE", LONG_CTE, Route::Replica),
    ] {
        Case::of(text, route).bench(&mut group, &format!("{name}, same text"));
        Case::of(text, route).changing(Changing::Value).bench(&mut group, &format!("{name}, new literal"));
        Case::of(text, route).changing(Changing::Table).bench(&mut group, &format!("{name}, new shape"));
    }
    group.finish();
    criterion.final_summary();
}

/// A text, what of it changes from query to query, and where it must go.
struct Case {
    text: &'static str,
    changing: Changing,
    route: Route,
}

impl Case {
    fn of(text: &'static str, route: Route) -> Self {
        Self { text, changing: Changing::Nothing, route }
    }

    fn changing(mut self, changing: Changing) -> Self {
        self.changing = changing;
        self
    }

    /// The memory is the default one: with ever new shapes it is full soon, and evicting is part of the price.
    fn bench(self, group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
        let classifier = Classifier::new(Options::default());
        let mut template = Template::new(self.text, self.changing);
        let mut classify = || classifier.classify(black_box(template.next_text()), Context::default());
        assert_eq!(classify().route, self.route, "{}", self.text);
        group.bench_function(name, |bencher| bencher.iter(&mut classify));
    }
}
