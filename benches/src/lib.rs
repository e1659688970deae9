//! What the benchmarks share: the SQL texts that they speak of. The benchmarks are in `benches/benches/`, a file a
//! topic; `benches/README.md` says what each figure means.
//!
//! In a text `{value}` stands for a constant and `{table}` for a part of a table's name; [`Template`] fills them in.

/// What `pgbench -S` sends; the figure of DESIGN.md section 11 is about this one.
pub const PGBENCH_SELECT: &str = "SELECT abalance FROM pgbench_accounts{table} WHERE aid = {value};";

/// A write of `pgbench`'s default script.
pub const PGBENCH_UPDATE: &str =
    "UPDATE pgbench_accounts{table} SET abalance = abalance + -1234 WHERE aid = {value};";

/// A select as an object-relational mapper writes it: everything quoted, every column named twice.
pub const ORM_SELECT: &str = r#"SELECT "o"."id" AS "o_id", "o"."customer_id" AS "o_customer_id", "o"."status" AS "o_status",
 "o"."total_amount" AS "o_total_amount", "o"."created_at" AS "o_created_at", "c"."id" AS "c_id", "c"."email" AS
 "c_email", "c"."first_name" AS "c_first_name" FROM "orders{table}" "o" LEFT OUTER JOIN "customers" "c" ON
 "c"."id" = "o"."customer_id" WHERE "o"."status" IN ('open', 'paid') AND "o"."customer_id" = {value} AND
 "o"."deleted_at" IS NULL ORDER BY "o"."created_at" DESC LIMIT 50 OFFSET 0"#;

/// A report: three common table expressions, window functions, aggregates.
pub const LONG_CTE: &str = "WITH recent AS (SELECT o.id, o.customer_id, o.total, o.created_at FROM orders{table} o \
 WHERE o.created_at > now() - interval '30 days' AND o.status = ANY (ARRAY['open', 'paid', 'shipped'])), \
 ranked AS (SELECT r.*, row_number() OVER (PARTITION BY r.customer_id ORDER BY r.total DESC) AS place, \
 sum(r.total) OVER (PARTITION BY r.customer_id) AS customer_total FROM recent r), \
 best AS (SELECT customer_id, max(customer_total) AS total, count(*) AS orders, avg(total)::numeric(12, 2) AS mean \
 FROM ranked WHERE place <= 10 GROUP BY customer_id HAVING count(*) > 1) \
 SELECT c.id, c.name, coalesce(b.total, 0) AS total, b.orders, b.mean, \
 CASE WHEN b.total > 10000 THEN 'gold' WHEN b.total > 1000 THEN 'silver' ELSE 'none' END AS class \
 FROM customers c LEFT JOIN best b ON b.customer_id = c.id \
 WHERE c.region_id = {value} AND NOT EXISTS (SELECT 1 FROM blocked x WHERE x.customer_id = c.id) \
 ORDER BY total DESC NULLS LAST, c.name LIMIT 100";

/// Digits of a filled-in number; as many for every number, so that a text can be changed in place.
const DIGITS: usize = 9;

/// What of a text is another one each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changing {
    /// Nothing: the same bytes come again.
    Nothing,
    /// The constant.
    Value,
    /// The table's name.
    Table,
}

/// A text that can be made different from all texts before it at the price of writing nine digits.
#[derive(Debug, Clone)]
pub struct Template {
    text: Vec<u8>,
    changes_at: Option<usize>,
    number: u32,
}

impl Template {
    /// The text with its places filled in.
    ///
    /// # Panics
    /// When the text lacks a place.
    pub fn new(text: &str, changing: Changing) -> Self {
        let mut template = Self { text: text.into(), changes_at: None, number: 0 };
        for (place, this) in [("{table}", Changing::Table), ("{value}", Changing::Value)] {
            let here = |bytes: &[u8]| bytes == place.as_bytes();
            let at = template.text.windows(place.len()).position(here);
            let at = at.unwrap_or_else(|| panic!("no {place} in: {text}"));
            template.text.splice(at..at + place.len(), [b'1'; DIGITS]);
            if this == changing {
                template.changes_at = Some(at);
            }
        }
        template
    }

    /// The next text.
    pub fn next_text(&mut self) -> &[u8] {
        if let Some(at) = self.changes_at {
            self.number = self.number.wrapping_add(1);
            let mut rest = self.number;
            for digit in self.text[at..at + DIGITS].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        &self.text
    }
}

#[cfg(test)]
mod lib_tests;
