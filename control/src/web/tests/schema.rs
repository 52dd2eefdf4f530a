//! Schemas of JSON documents: whether a document has one's form, and documents that have it.

use serde_json::{Map, Value, json};

/// Words of a schema that are looked at, or say nothing about a form.
const KNOWN: [&str; 14] = [
    "$ref",
    "type",
    "enum",
    "const",
    "oneOf",
    "anyOf",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minimum",
    "maximum",
    "format",
    "description",
];

/// A document in which schemas are found by `$ref`.
pub(super) struct Schemas<'d>(pub(super) &'d Value);

impl<'d> Schemas<'d> {
    fn resolve(&self, schema: &'d Value) -> &'d Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(place) => {
                let found = self.0.pointer(place.strip_prefix('#').unwrap());
                self.resolve(found.unwrap_or_else(|| panic!("there is no {place}")))
            }
            None => schema,
        }
    }

    /// Says what of a value the schema does not allow, or does not know.
    pub(super) fn check(&self, schema: &'d Value, value: &Value) -> Result<(), String> {
        let schema = self.resolve(schema);
        let words = schema.as_object().unwrap();
        if words.is_empty() {
            return Ok(());
        }
        if let Some(strange) = words.keys().find(|word| !KNOWN.contains(&word.as_str())) {
            return Err(format!("the schema has {strange}, which is not looked at"));
        }
        let choices = words.get("oneOf").or_else(|| words.get("anyOf"));
        if let Some(Value::Array(choices)) = choices {
            let fits = choices.iter().any(|it| self.check(it, value).is_ok());
            return if fits {
                Ok(())
            } else {
                Err(format!("{value} is none of {choices:?}"))
            };
        }
        if let Some(Value::Array(values)) = words.get("enum")
            && !values.contains(value)
        {
            return Err(format!("{value} is none of {values:?}"));
        }
        if let Some(only) = words.get("const")
            && only != value
        {
            return Err(format!("{value} is not {only}"));
        }
        if let Some(kind) = words.get("type")
            && !has_type(kind, value)
        {
            return Err(format!("{value} is no {kind}"));
        }
        let limits = [("minimum", true), ("maximum", false)];
        for (word, least) in limits {
            if let (Some(limit), Some(value)) =
                (words.get(word).and_then(Value::as_f64), value.as_f64())
                && (value < limit) == least
                && value != limit
            {
                return Err(format!("{value} is beyond the {word} {limit}"));
            }
        }
        match value {
            Value::Object(object) => self.check_object(words, object),
            Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                let of_items = words.get("items").ok_or("a list without `items`")?;
                self.check(of_items, item)
                    .map_err(|wrong| format!("[{index}]: {wrong}"))
            }),
            _ => Ok(()),
        }
    }

    fn check_object(
        &self,
        words: &'d Map<String, Value>,
        object: &Map<String, Value>,
    ) -> Result<(), String> {
        for name in required(words) {
            if !object.contains_key(name) {
                return Err(format!("{name} is missing"));
            }
        }
        for (name, value) in object {
            let property = words.get("properties").and_then(|all| all.get(name));
            let property = property.or_else(|| words.get("additionalProperties"));
            let property = property.ok_or_else(|| format!("{name} is not described"))?;
            self.check(property, value)
                .map_err(|wrong| format!("{name}: {wrong}"))?;
        }
        Ok(())
    }

    /// A value that has the schema's form: everything there is, or only what must be.
    pub(super) fn example(&self, name: &str, schema: &'d Value, whole: bool) -> Value {
        let schema = self.resolve(schema);
        let words = schema.as_object().unwrap();
        if let Some(only) = words.get("const") {
            return only.clone();
        }
        if let Some(values) = words.get("enum") {
            return values[0].clone();
        }
        let choices = words.get("oneOf").or_else(|| words.get("anyOf"));
        if let Some(choices) = choices {
            return self.example(name, &choices[0], whole);
        }
        let kind = words["type"].as_str().or_else(|| words["type"][0].as_str());
        match (kind.unwrap(), words.get("format").and_then(Value::as_str)) {
            ("string", Some("ipv4" | "ip")) => json!("192.0.2.1"),
            ("string", _) if name == "local_address" || name == "peer_address" => {
                json!("192.0.2.1:1701")
            }
            ("string", _) => json!("text"),
            ("integer", _) => json!(3),
            ("number", _) => json!(0.5),
            ("boolean", _) => json!(true),
            ("array", _) => json!([self.example(name, &words["items"], whole)]),
            ("object", _) => self.example_object(words, whole),
            other => panic!("no example of {other:?}"),
        }
    }

    fn example_object(&self, words: &'d Map<String, Value>, whole: bool) -> Value {
        let mut object = Map::new();
        if let Some(Value::Object(properties)) = words.get("properties") {
            let needed: Vec<&str> = required(words).collect();
            for (name, property) in properties {
                if whole || needed.contains(&name.as_str()) {
                    object.insert(name.clone(), self.example(name, property, whole));
                }
            }
        }
        if let Some(more) = words
            .get("additionalProperties")
            .filter(|more| more.is_object() && whole)
        {
            object.insert("no-route".to_owned(), self.example("no-route", more, whole));
        }
        Value::Object(object)
    }
}

fn required(words: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let names = words.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

fn has_type(kind: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("there is no type {other}"),
    };
    match kind {
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    }
}

#[test]
fn what_does_not_have_the_form_is_found() {
    let schema = json!({
        "type": "object",
        "properties": {
            "count": { "type": "integer", "minimum": 0 },
            "names": { "type": "array", "items": { "type": ["string", "null"] } },
            "state": { "enum": ["up", "down"] },
        },
        "required": ["count"],
    });
    let check = |value| Schemas(&schema).check(&schema, &value);
    assert_eq!(
        check(json!({ "count": 0, "names": ["a", null], "state": "up" })),
        Ok(())
    );
    for wrong in [
        json!({}),
        json!([]),
        json!({ "count": -1 }),
        json!({ "count": 0.5 }),
        json!({ "count": 0, "more": 1 }),
        json!({ "count": 0, "names": [1] }),
        json!({ "count": 0, "state": "on" }),
    ] {
        assert!(check(wrong.clone()).is_err(), "{wrong}");
    }
}
