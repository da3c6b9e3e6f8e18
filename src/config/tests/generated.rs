//! docs/config.schema.json and the tables of docs/configuration.md, made from the types of the files. A test
//! fails where the files in the repository differ; `make generated` writes them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::account::{AccountId, AccountName, Api, Pattern, Profile, ProxyUrl, UserId};
use crate::problems::place::Entries;

use super::super::file::MainKeys;
use super::super::key::{self, Key, Nested};
use super::super::value::{Address, Bounded, Line, PATH_MAX, Percentage, Secret, Time};
use super::super::{parse, render};

#[path = "../../../tests/support/generated.rs"]
mod files;

const PAGE: &str = "docs/configuration.md";

/// What says nothing of all that has a default, and what switches on the rest of it.
const CONFIGURATIONS: [&str; 2] = [
    "accounts: [{name: a, auth: {token: t}, users: [{id: '1'}]}]",
    "partners: {p: {email: e, password_file: secret}}\n\
     accounts: [{name: a, account_id: '12345678', auth: {token: t}, users: [{id: '1'}], \
     discover_users: {enabled: true}, reset: {enabled: true, token_file: secret}}]",
];

#[test]
fn schema_and_tables_are_those_of_the_types() {
    let schema = schema();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    files::check("docs/config.schema.json", &text, "make generated");
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(page).unwrap();
    files::check(PAGE, &with_tables(&page, &schema), "make generated");
}

fn schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<MainKeys>().to_value();
    add_rules(&mut schema);
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "s".repeat(32)).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    for given in CONFIGURATIONS {
        let config = parse(given.as_bytes(), &folder.path().join("config.yaml")).unwrap();
        let shown = render(&config.settings, &config.accounts);
        let [shown, given] =
            [shown.as_str(), given].map(|text| serde_saphyr::from_str(text).unwrap());
        add_defaults(&mut schema, &shown, &given);
    }
    tidy(&mut schema);
    schema["title"] = json!("Configuration of wazzup-exporter");
    schema["anyOf"] = json!([{"required": ["accounts"]}, {"required": ["account_files"]}]);
    schema
}

/// Adds as defaults what is `shown` of a configuration and not `given` in it. Where a default depends on other keys,
/// the description says so.
fn add_defaults(schema: &mut Value, shown: &Value, given: &Value) {
    let described = schema["description"].as_str().is_some_and(|text| text.contains("Default:"));
    match shown {
        Value::Object(entries) => {
            for (name, shown) in entries {
                let known = schema["properties"].get(name.as_str()).is_some();
                let place = if known {
                    &mut schema["properties"][name]
                } else {
                    &mut schema["additionalProperties"]
                };
                add_defaults(place, shown, &given[name]);
            }
        }
        Value::Array(items) if schema["items"]["properties"].is_object() => {
            for item in items {
                add_defaults(&mut schema["items"], item, &given[0]);
            }
        }
        shown if given.is_null() && schema["default"].is_null() && !described => {
            schema["default"] = shown.clone();
        }
        _ => {}
    }
}

/// Takes out what is no help: titles and defaults of mappings, and the line breaks of comments.
fn tidy(value: &mut Value) {
    if let Value::Object(schema) = value {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        if schema.contains_key("properties") {
            schema.remove("title");
        }
        if schema.get("default").is_some_and(|value| value.is_null() || *value == json!([])) {
            schema.remove("default");
        }
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(tidy),
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// The page with a new table after each line `<!-- keys of PLACE -->`.
fn with_tables(page: &str, schema: &Value) -> String {
    let place = |line: &str| {
        let place = line.strip_prefix("<!-- keys of ")?.strip_suffix(" -->")?;
        Some(place.to_owned())
    };
    let places: Vec<String> = page.lines().filter_map(place).collect();
    let mut made = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        made += line;
        made.push('\n');
        if let Some(place) = place(line) {
            while lines.next_if(|line| line.starts_with('|')).is_some() {}
            made +=
                "| key | type | default | bounds | meaning |\n| --- | --- | --- | --- | --- |\n";
            let path = if place == "the file" { "" } else { &place };
            rows(find(schema, path), path, &places, &mut made);
        }
    }
    made
}

/// What stands at a place: `accounts[].auth`.
fn find<'a>(schema: &'a Value, path: &str) -> &'a Value {
    path.split('.').filter(|part| !part.is_empty()).fold(schema, |schema, part| match part {
        "*" => &schema["additionalProperties"],
        _ => match part.strip_suffix("[]") {
            Some(list) => &schema["properties"][list]["items"],
            None => &schema["properties"][part],
        },
    })
}

/// Rows for the keys of a mapping, and for those below that have no table of their own.
fn rows(schema: &Value, path: &str, places: &[String], table: &mut String) {
    for name in if schema["properties"].is_object() { order(path) } else { Vec::new() } {
        let key = &schema["properties"][name];
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let required =
            schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
        row(key, &path, required, table);
        below(key, &path, places, table);
    }
    let named = &schema["additionalProperties"];
    if named.is_object() {
        let path = format!("{path}.*");
        row(named, &path, false, table);
        below(named, &path, places, table);
    }
}

/// The keys of a mapping in the order of its type, which a schema does not keep and an unknown key reveals.
fn order(path: &str) -> Vec<&'static str> {
    let mut yaml = "{unknown: 1}".to_owned();
    for part in path.rsplit('.').filter(|part| !part.is_empty()) {
        yaml = match part.strip_suffix("[]") {
            Some(list) => format!("{{{list}: [{yaml}]}}"),
            None if part == "*" => format!("{{x: {yaml}}}"),
            None => format!("{{{part}: {yaml}}}"),
        };
    }
    match serde_saphyr::from_str_with_options::<MainKeys>(
        &yaml,
        serde_saphyr::options! { with_snippet: false },
    ) {
        Err(serde_saphyr::Error::SerdeUnknownField { expected, .. }) => expected,
        other => panic!("{path}: {:?}", other.err()),
    }
}

fn below(key: &Value, path: &str, places: &[String], table: &mut String) {
    let path = if is(key, "array") { format!("{path}[]") } else { path.to_owned() };
    let inner = if is(key, "array") { &key["items"] } else { key };
    if !places.contains(&path) {
        rows(inner, &path, places, table);
    }
}

fn is(schema: &Value, kind: &str) -> bool {
    let found = &schema["type"];
    *found == json!(kind) || found.as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
}

fn row(key: &Value, path: &str, required: bool, table: &mut String) {
    let default = match &key["default"] {
        Value::Null if required => "required".to_owned(),
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value if value.is_array() => format!("`{value}`"),
        value => value.to_string(),
    };
    let meaning = key["description"].as_str().unwrap_or_default();
    let meaning = meaning.strip_suffix('.').unwrap_or(meaning).replace('|', "\\|");
    let (kind, bounds) = (kind(key), bounds(key));
    writeln!(table, "| `{path}` | {kind} | {default} | {bounds} | {meaning} |").unwrap();
}

fn kind(key: &Value) -> String {
    match key["title"].as_str() {
        Some(title) => title.to_owned(),
        None if is(key, "object") => "mapping".to_owned(),
        None if is(key, "array") && is(&key["items"], "object") => "list".to_owned(),
        None if is(key, "array") && key["items"]["title"].is_null() => "list of text".to_owned(),
        None if is(key, "array") => format!("list of {}s", kind(&key["items"])),
        None if is(key, "boolean") => "true, false".to_owned(),
        None if is(key, "integer") => "number".to_owned(),
        None => "text".to_owned(),
    }
}

fn bounds(key: &Value) -> String {
    if let Some(comment) = key["$comment"].as_str() {
        return comment.to_owned();
    }
    if let Some(choices) = key["enum"].as_array() {
        let names: Vec<String> =
            choices.iter().map(|one| format!("`{}`", one.as_str().unwrap())).collect();
        return names.join(", ");
    }
    match (&key["minimum"], &key["maximum"], key["maxLength"].as_u64()) {
        (Value::Number(least), Value::Number(most), _) => format!("{least} to {most}"),
        (.., Some(most)) if most < PATH_MAX as u64 => format!("{most} characters"),
        _ => String::new(),
    }
}

/// What a schema can say of the values at a place beyond their types.
fn add_rules(schema: &mut Value) {
    const ACCOUNT: &str = "/properties/accounts/items";
    const PARTNER: &str = "/properties/partners/additionalProperties";
    const TIME: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$";
    let enabled = json!({"properties": {"enabled": {"const": true}}, "required": ["enabled"]});
    let partner = [
        ("", json!({"required": ["email", "password_file"]})),
        ("/properties/email", json!({"pattern": "^[^:]*$"})),
        ("/properties/redirect_uri", json!({"maxLength": 256, "pattern": "^https?://[^#]+$"})),
    ];
    let account = [
        ("", json!({"required": ["name", "auth"], "allOf": account_conditions()})),
        ("/properties/base_url", json!({"pattern": "^https?://[^/?#@]+(/[^?#]*)?$"})),
        ("/properties/auth", json!({"minProperties": 1, "maxProperties": 1})),
        ("/properties/auth/properties/token_command", json!({"minItems": 1, "maxItems": 64})),
        (
            "/properties/auth/properties/oauth",
            json!({"required": ["partner", "refresh_token_file"]}),
        ),
        ("/properties/users/items", json!({"required": ["id"]})),
        (
            "/properties/discover_users/properties/labels/items",
            json!({"required": ["match", "set"]}),
        ),
        ("/properties/working_hours", json!({"required": ["timezone", "days", "from", "to"]})),
        (
            "/properties/working_hours/properties/days",
            json!({"pattern": "^ *[A-Za-z]{3} *([-,] *[A-Za-z]{3} *)*$"}),
        ),
        ("/properties/working_hours/properties/from", json!({"pattern": TIME})),
        ("/properties/working_hours/properties/to", json!({"pattern": TIME})),
        ("/properties/reset", json!({"if": enabled, "then": {"required": ["token_file"]}})),
    ];
    let partner = partner.into_iter().map(|rule| (PARTNER, rule));
    for (whole, (part, rules)) in account.into_iter().map(|rule| (ACCOUNT, rule)).chain(partner) {
        let place = schema.pointer_mut(&format!("{whole}{part}")).unwrap();
        place.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    }
}

/// What takes more than one key of an account to judge, as far as a schema can.
fn account_conditions() -> Value {
    json!([
        {
            "if": {
                "required": ["discover_users"],
                "properties": {"discover_users": {
                    "type": "object",
                    "required": ["enabled"],
                    "properties": {"enabled": {"const": true}}
                }}
            },
            "else": {
                "required": ["users"],
                "properties": {"users": {"type": "array", "minItems": 1}}
            }
        },
        {
            "if": {"properties": {"auth": {"type": "object", "required": ["partner"]}}},
            "then": {"required": ["account_id"], "properties": {"api": {"const": "v2"}}}
        },
        {
            "if": {"properties": {"auth": {"type": "object", "required": ["oauth"]}}},
            "then": {"properties": {"api": {"const": "v2"}}}
        }
    ])
}

/// Types that are a matter of a few words of JSON Schema.
macro_rules! schemas {
    ($([$($generics:tt)*] $type:ty, $generator:ident => $schema:expr;)+) => {$(
        impl<$($generics)*> JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }

            fn inline_schema() -> bool {
                true
            }
        }
    )+};
}

schemas! {
    [T: JsonSchema + key::Value] Key<T>, generator => T::json_schema(generator);
    [T: JsonSchema] Nested<T>, generator => nullable(generator.subschema_for::<T>());
    [T: JsonSchema] Entries<T>, generator => mapping(&T::json_schema(generator));
    [const LEAST: u64, const MOST: u64] Time<LEAST, MOST>, _generator => json_schema!({
        "title": "duration",
        "type": "string",
        "minLength": 2,
        "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
        "$comment": Self::bounds().join(" to ")
    });
    [const LEAST: usize, const MOST: usize] Bounded<LEAST, MOST>, _generator => json_schema!({
        "type": "integer", "minimum": LEAST, "maximum": MOST
    });
    [] Percentage, _generator => json_schema!({
        "title": "percentage",
        "type": "string",
        "pattern": "^(100|[1-9][0-9]?) *%$",
        "$comment": "1% to 100%"
    });
    [const MOST: usize] Line<MOST>, _generator => line(MOST);
    [] Secret, _generator => json_schema!({"type": "string", "pattern": "^[!-~]+$"});
    [] Address, _generator => json_schema!({"title": "address", "type": "string"});
    [] ProxyUrl, _generator => json_schema!({
        "title": "address", "type": "string", "pattern": "^https?://[^/?#]+/?$"
    });
    [] Pattern, _generator => json_schema!({
        "title": "pattern", "type": "string", "minLength": 1, "maxLength": 1000
    });
    [] Api, _generator => json_schema!({"enum": ["v2", "v3"]});
    [] Profile, _generator => json_schema!({"enum": ["full", "minimal"]});
    [] AccountName, _generator => json_schema!({
        "type": "string", "maxLength": 64, "pattern": "^\\S(.*\\S)?$"
    });
    [] AccountId, _generator => json_schema!({
        "type": "string", "pattern": "^([0-9]{8}|[0-9]{4}-[0-9]{4})$"
    });
    [] UserId, _generator => json_schema!({
        "type": "string", "minLength": 1, "maxLength": 200, "not": {"enum": [".", ".."]}
    });
}

/// Nothing at all stands for an empty mapping or list.
fn nullable(mut schema: Schema) -> Schema {
    let kind = schema.get("type").cloned();
    schema.insert("type".to_owned(), json!([kind, "null"]));
    schema
}

fn line(most: usize) -> Schema {
    let mut schema = json_schema!({"type": "string", "minLength": 1, "maxLength": most});
    if most == PATH_MAX {
        schema.insert("title".to_owned(), json!("path"));
    }
    schema
}

/// A mapping whose keys are a person's own; those of texts are labels.
fn mapping(values: &Schema) -> Schema {
    let names = if is(values.as_value(), "string") {
        json!({
            "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$",
            "not": {"anyOf": [{"pattern": "^__"}, {"enum": [
                "account", "account_id", "api", "instance", "job", "le", "name", "quantile",
                "reason", "role", "state", "type", "user"
            ]}]}
        })
    } else {
        json!({})
    };
    json_schema!({"type": "object", "propertyNames": names, "additionalProperties": values})
}
