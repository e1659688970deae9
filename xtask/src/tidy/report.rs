//! What a rule is called, what a breach of it looks like, and the table at the end.

use std::fmt;

/// The rules, each with the name that `tidy-exceptions.txt` uses for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// A Rust file must parse.
    Parse,
    /// At most 500 lines a file, tests not counted.
    FileLength,
    /// The median file is under 180 lines.
    MedianLength,
    /// At most 70 lines a function.
    FunctionLength,
    /// At most 4 blocks inside each other.
    Nesting,
    /// At most 5 arguments beside `self`.
    Arguments,
    /// Every file opens with `//!`.
    ModuleDoc,
    /// Tests stand in a file of their own.
    InlineTests,
    /// Every file is declared by a `mod`.
    DeadFile,
    /// `unwrap` and `expect` need a proof.
    Unwrap,
    /// No global that changes.
    MutableStatic,
    /// A test waits for a condition, never for a while.
    SleepInTest,
    /// Nothing unfinished.
    Unfinished,
    /// Every queue has a bound.
    Unbounded,
    /// The pure crates know no runtime, socket, clock or thread.
    Pure,
    /// One word for one thing.
    Word,
    /// No registry's host name.
    Registry,
    /// Every sentence of the contract names the test that holds it, and the test is there.
    Map,
    /// The list of edges between the crates.
    Edge,
    /// Every package takes the workspace's lints.
    Lints,
    /// An exception that excuses nothing, or has no reason.
    Exception,
}

impl Rule {
    /// The name in the output and in `tidy-exceptions.txt`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Rule::Parse => "parse",
            Rule::FileLength => "file-length",
            Rule::MedianLength => "median-length",
            Rule::FunctionLength => "function-length",
            Rule::Nesting => "nesting",
            Rule::Arguments => "arguments",
            Rule::ModuleDoc => "module-doc",
            Rule::InlineTests => "inline-tests",
            Rule::DeadFile => "dead-file",
            Rule::Unwrap => "unwrap",
            Rule::MutableStatic => "mutable-static",
            Rule::SleepInTest => "sleep-in-test",
            Rule::Unfinished => "unfinished",
            Rule::Unbounded => "unbounded",
            Rule::Pure => "pure",
            Rule::Word => "word",
            Rule::Registry => "registry",
            Rule::Map => "map",
            Rule::Edge => "edge",
            Rule::Lints => "lints",
            Rule::Exception => "exception",
        }
    }
}

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, relative to the workspace.
    pub(crate) path: String,
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// Which rule.
    pub(crate) rule: Rule,
    /// What is wrong, and what is wanted.
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line, self.what, self.rule.name())
    }
}

/// The figures of the table.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Lines of each code file, tests not counted.
    pub(crate) file_lengths: Vec<usize>,
    /// Lines of each function outside tests.
    pub(crate) function_lengths: Vec<usize>,
    /// Lines of the test files, and of tests inside code files.
    pub(crate) test_lines: usize,
    /// The deepest nesting met outside tests.
    pub(crate) deepest: usize,
}

impl Summary {
    /// The median length of a code file, 0 when there is none.
    pub(crate) fn median_file_length(&self) -> usize {
        median(&self.file_lengths)
    }

    /// How many of a hundred functions have more than `limit` lines.
    fn share_of_functions_over(&self, limit: usize) -> f64 {
        let over = self.function_lengths.iter().filter(|length| **length > limit).count();
        100.0 * over as f64 / self.function_lengths.len().max(1) as f64
    }
}

/// The middle one of some lengths, the upper of two.
fn median(lengths: &[usize]) -> usize {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// Prints the findings in the order of the files, then the table.
pub(crate) fn print(findings: &[Finding], summary: &Summary) {
    let mut sorted = findings.to_vec();
    sorted.sort();
    for finding in &sorted {
        println!("{finding}");
    }
    let longest = |lengths: &[usize]| lengths.iter().copied().max().unwrap_or(0);
    println!("tidy: what                                figure   limit");
    let row = |what: &str, figure: String, limit: &str| println!("tidy: {what:<36} {figure:>7} {limit:>7}");
    row("code files", summary.file_lengths.len().to_string(), "");
    row("lines of code files", summary.file_lengths.iter().sum::<usize>().to_string(), "");
    row("lines of tests", summary.test_lines.to_string(), "");
    row("longest file", longest(&summary.file_lengths).to_string(), "500");
    row("median file", summary.median_file_length().to_string(), "180");
    row("functions", summary.function_lengths.len().to_string(), "");
    row("longest function", longest(&summary.function_lengths).to_string(), "70");
    row("functions over 40 lines, percent", format!("{:.1}", summary.share_of_functions_over(40)), "");
    row("deepest nesting", summary.deepest.to_string(), "4");
    row("findings", findings.len().to_string(), "0");
}
