//! Bytes to a pooler, and its answer as text.

use howdah_protocol::write;

use crate::support::Raw;

/// What comes up to ReadyForQuery or the end, a text a message.
pub(super) async fn answer(raw: &mut Raw) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(frame) = raw.frame().await {
        lines.push(text(&frame));
        if frame.0 == b'Z' {
            return lines;
        }
    }
    lines.push("closed".to_owned());
    lines
}

/// The answer to a simple query.
pub(super) async fn ask(raw: &mut Raw, sql: &str) -> Vec<String> {
    let mut out = Vec::new();
    write::query(&mut out, sql.as_bytes()).unwrap();
    raw.send_lossy(&out).await;
    answer(raw).await
}

/// A startup packet, and the answer.
pub(super) async fn start(raw: &mut Raw, parameters: &[(&str, &str)]) -> Vec<String> {
    raw.startup(parameters).await;
    answer(raw).await
}

/// A message as text.
pub(super) fn text((tag, body): &(u8, Vec<u8>)) -> String {
    match tag {
        b'T' => format!(
            "T {}",
            columns(body).iter().map(|(n, t)| format!("{n}:{t}")).collect::<Vec<_>>().join(",")
        ),
        b'D' => format!("D {}", cells(body).join("|")),
        b'E' | b'N' => {
            let fields = body.split(|&byte| byte == 0).filter(|field| !field.is_empty());
            let fields = fields
                .map(|field| format!("{}={}", char::from(field[0]), String::from_utf8_lossy(&field[1..])));
            format!("{} {}", char::from(*tag), fields.collect::<Vec<_>>().join(" "))
        }
        b'K' => format!("K {} bytes", body.len()),
        _ => format!("{} {}", char::from(*tag), body.escape_ascii()),
    }
}

/// Names and types of a RowDescription.
pub(super) fn columns(body: &[u8]) -> Vec<(String, u32)> {
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    while let Some(end) = rest.iter().position(|&byte| byte == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let fixed = &rest[end + 1..];
        columns.push((name, u32::from_be_bytes(fixed[6..10].try_into().unwrap())));
        rest = &fixed[18..];
    }
    columns
}

/// Values of a DataRow: NULL, or the text in quotes.
pub(super) fn cells(body: &[u8]) -> Vec<String> {
    let mut rest = &body[2..];
    let mut cells = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        if length < 0 {
            cells.push("NULL".to_owned());
            rest = after;
            continue;
        }
        let (value, after) = after.split_at(usize::try_from(length).unwrap());
        cells.push(format!("\"{}\"", String::from_utf8_lossy(value)));
        rest = after;
    }
    cells
}

/// A result: columns with their types, and rows.
pub(super) type Table = (Vec<(String, u32)>, Vec<Vec<String>>);

/// A result by name; `Err` with the answer where there was no result.
pub(super) async fn table(raw: &mut Raw, sql: &str) -> Result<Table, Vec<String>> {
    let mut out = Vec::new();
    write::query(&mut out, sql.as_bytes()).unwrap();
    raw.send_lossy(&out).await;
    let (mut names, mut rows, mut lines) = (None, Vec::new(), Vec::new());
    while let Some(frame) = raw.frame().await {
        match frame.0 {
            b'T' => names = Some(columns(&frame.1)),
            b'D' => rows.push(cells(&frame.1)),
            _ => lines.push(text(&frame)),
        }
        if frame.0 == b'Z' {
            break;
        }
    }
    names.map(|names| (names, rows)).ok_or(lines)
}
