//! `howdah classify --jsonl`: one JSON object in, one out, line by line.

use serde_json::{Map, Value, json};

use crate::{Context, Options, explain::sentence, judge};

/// Answers one line `{"id":…,"sql":"…"}` with `{"id":…,"route":"replica"|"primary","reason":"…"}`. A line
/// that is not such an object gets `{"id":…,"error":"…"}` (the id is null when it could not be read), so
/// that answers stay in step with questions. No newline at the end.
pub fn classify_jsonl_line(line: &str, context: Context) -> String {
    let answer = match serde_json::from_str::<Map<String, Value>>(line) {
        Err(error) => json!({"id": null, "error": format!("not a JSON object: {error}")}),
        Ok(question) => answer(&question, context),
    };
    answer.to_string()
}

fn answer(question: &Map<String, Value>, context: Context) -> Value {
    let id = question.get("id").cloned().unwrap_or(Value::Null);
    let Some(sql) = question.get("sql").and_then(Value::as_str) else {
        return json!({"id": id, "error": "there is no \"sql\" with a string"});
    };
    let judged = judge::judge(sql.as_bytes(), context, Options::default().max_text_bytes);
    json!({"id": id, "route": judged.verdict.route.as_str(), "reason": sentence(&judged)})
}
