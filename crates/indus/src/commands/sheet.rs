//! What is shown of things: fields for one of them, a table for several, JSON of both for programs.
//!
//! Invariant: no character of a value that moves the cursor, or turns the direction of what follows, reaches a terminal.

use std::fmt::Write;

use candid::Principal;
use indus_verify::Time;
use serde_json::{Map, Value};

use crate::console::Console;
use crate::when;

/// Names in the JSON, and values, in the order in which people see them.
pub(crate) type Fields = Vec<(&'static str, Value)>;

/// Fields as a JSON object.
pub(crate) fn document(fields: Fields) -> Value {
    let named = fields.into_iter().map(|(name, value)| (name.into(), value));
    Value::Object(named.collect::<Map<_, _>>())
}

/// One thing: a line for each field, or JSON.
pub(crate) fn show(fields: Fields, json: bool, console: &mut Console) {
    if json {
        console.line(document(fields));
        return;
    }
    let width = fields.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default() + 1;
    for (name, value) in &fields {
        let name = format!("{}:", name.replace('_', " "));
        console.line(format_args!("{name:width$}  {}", text(value)));
    }
}

/// Several things: these columns of them and when they were certified, or JSON of all fields.
pub(crate) fn list(
    columns: &[&str],
    things: Vec<Fields>,
    certified_at: Option<Time>,
    json: bool,
    console: &mut Console,
) {
    if json {
        let things: Vec<Value> = things.into_iter().map(document).collect();
        let at = certified_at.map(|at| when::utc(at).into());
        console.line(document(vec![
            ("items", things.into()),
            ("certified_at", at.unwrap_or(Value::Null)),
        ]));
        return;
    }
    for line in table(columns, &things) {
        console.line(line);
    }
    let count = things.len();
    if let Some(at) = certified_at {
        console.line(format_args!("{count}, certified {}", when::utc(at)));
    }
}

/// Lines of a table; the first one has the names.
fn table(columns: &[&str], things: &[Fields]) -> Vec<String> {
    let cell = |thing: &Fields, column: &str| {
        let field = thing.iter().find(|(name, _)| *name == column);
        field.map_or_else(String::new, |(_, value)| text(value))
    };
    let heads = columns
        .iter()
        .map(|name| name.replace('_', " ").to_uppercase());
    let mut rows: Vec<Vec<String>> = vec![heads.collect()];
    rows.extend(
        things
            .iter()
            .map(|thing| columns.iter().map(|column| cell(thing, column)).collect()),
    );
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            let widths = rows.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or_default()
        })
        .collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string can't fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A value for people.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::from("-"),
        Value::Array(values) if values.is_empty() => String::from("-"),
        Value::String(text) => printable(text),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{name} {}", text(value));
            fields.iter().map(field).collect::<Vec<_>>().join("; ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A text of somebody's for a terminal.
pub(crate) fn printable(text: &str) -> String {
    let moves = |one: char| {
        one.is_control() || matches!(one, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let shown = text.chars();
    shown
        .map(|one| if moves(one) { '\u{fffd}' } else { one })
        .collect()
}

/// A time of a record.
pub(crate) fn time(ns: u64) -> Value {
    when::utc(Time::from_nanos(ns)).into()
}

/// Bytes in hexadecimal.
pub(crate) fn bytes(bytes: &[u8]) -> Value {
    hex::encode(bytes).into()
}

/// Principals as text.
pub(crate) fn principals(principals: &[Principal]) -> Value {
    let texts = principals.iter().map(Principal::to_text);
    texts.collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_its_columns_below_each_other_and_nothing_of_other_fields() {
        let thing = |id: u64, name: &str| -> Fields {
            vec![
                ("id", id.into()),
                ("name", name.into()),
                ("secret", 1.into()),
            ]
        };
        assert_eq!(
            table(
                &["id", "name", "due_at"],
                &[thing(7, "Ä"), thing(100, "Land Records")]
            ),
            ["ID   NAME          DUE AT", "7    Ä", "100  Land Records"]
        );
    }

    #[test]
    fn values_are_shown_without_what_moves_the_cursor() {
        assert_eq!(text(&json!("a\u{1b}[2J\n")), "a\u{fffd}[2J\u{fffd}");
        assert_eq!(
            text(&json!("\u{202e}lave\u{2069} سلام")),
            "\u{fffd}lave\u{fffd} سلام"
        );
        assert_eq!(text(&json!(["a", null, { "b": 1 }])), "a, -, b 1");
        assert_eq!(text(&json!([])), "-");
    }

    #[test]
    fn programs_get_an_object_with_all_fields() {
        let fields = vec![("id", 7.into()), ("until", time(0))];
        assert_eq!(
            document(fields).to_string(),
            r#"{"id":7,"until":"1970-01-01T00:00:00Z"}"#
        );
    }
}
