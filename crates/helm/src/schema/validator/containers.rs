//! Objects and arrays: their members, and what must be among them.

use super::*;

impl<'s> Validator<'_, 's> {
    pub(super) fn object(
        &mut self,
        at: &At<'s>,
        schema: &'s Object,
        object: &Object,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        if let Some(want) = count_of(schema, "minProperties").filter(|n| object.len() < *n) {
            findings.add(FindingKind::Limit {
                keyword: "minProperties",
                got: object.len(),
                want,
            });
        }
        if let Some(want) = count_of(schema, "maxProperties").filter(|n| object.len() > *n) {
            findings.add(FindingKind::Limit {
                keyword: "maxProperties",
                got: object.len(),
                want,
            });
        }
        let missing = |names: &Json| -> Vec<String> {
            texts(names)
                .into_iter()
                .filter(|name| !object.contains_key(name))
                .collect()
        };
        if let Some(required) = schema.get("required") {
            let missing = missing(required);
            if !missing.is_empty() {
                findings.add(FindingKind::Required(missing));
            }
        }
        for (name, dependency) in members(schema, "dependencies") {
            if !object.contains_key(name) {
                continue;
            }
            if dependency.is_array() {
                let missing = missing(dependency);
                if !missing.is_empty() {
                    findings.add(FindingKind::Dependency {
                        property: name.clone(),
                        missing,
                    });
                }
            } else {
                let next = self.below(at, dependency);
                let whole = Json::Object(object.clone());
                let outcome = self.check(&next, &whole, "dependencies");
                findings.take_own(outcome)?;
            }
        }
        self.properties(at, schema, object, findings)?;
        if at.draft == Draft::D4 {
            return Ok(());
        }
        if let Some(names) = schema.get("propertyNames") {
            let next = self.below(at, names);
            for name in object.keys() {
                // A name is a value of its own, at no place.
                let outer = std::mem::take(&mut self.at);
                let outcome = self.check(&next, &Json::String(name.clone()), "propertyNames");
                self.at = outer;
                if let Err(finding) = failure(outcome)? {
                    findings.list.push(Finding {
                        at: Vec::new(),
                        kind: FindingKind::PropertyName(name.clone()),
                        causes: finding.ungrouped(),
                    });
                }
            }
        }
        if at.draft < Draft::D2019 {
            return Ok(());
        }
        for (name, dependent) in members(schema, "dependentSchemas") {
            if object.contains_key(name) {
                let next = self.below(at, dependent);
                let whole = Json::Object(object.clone());
                let outcome = self.check(&next, &whole, "dependentSchemas");
                findings.take_own(outcome)?;
            }
        }
        for (name, required) in members(schema, "dependentRequired") {
            if object.contains_key(name) {
                let missing = missing(required);
                if !missing.is_empty() {
                    findings.add(FindingKind::Dependency {
                        property: name.clone(),
                        missing,
                    });
                }
            }
        }
        Ok(())
    }

    fn properties(
        &mut self,
        at: &At<'s>,
        schema: &'s Object,
        object: &Object,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        let known = schema.get("properties").and_then(Json::as_object);
        let patterns = schema.get("patternProperties").and_then(Json::as_object);
        let additional = schema.get("additionalProperties");
        let mut refused = Vec::new();
        for (name, value) in object {
            let mut evaluated = false;
            if let Some(property) = known.and_then(|k| k.get(name)) {
                evaluated = true;
                let next = self.below(at, property);
                let outcome = self.part(&next, value, name.clone(), "properties");
                findings.take(outcome)?;
            }
            for (pattern, property) in patterns.into_iter().flatten() {
                if self.pattern(pattern)?.is_match(name.as_bytes()) {
                    evaluated = true;
                    let next = self.below(at, property);
                    let outcome = self.part(&next, value, name.clone(), "patternProperties");
                    findings.take(outcome)?;
                }
            }
            if !evaluated {
                match additional {
                    None => continue,
                    Some(Json::Bool(false)) => refused.push(name.clone()),
                    Some(Json::Bool(true)) => {}
                    Some(property) => {
                        let next = self.below(at, property);
                        let outcome = self.part(&next, value, name.clone(), "additionalProperties");
                        findings.take(outcome)?;
                    }
                }
            }
            findings.seen.properties.insert(name.clone());
        }
        if !refused.is_empty() {
            findings.add(FindingKind::AdditionalProperties(refused));
        }
        Ok(())
    }

    pub(super) fn array(
        &mut self,
        at: &At<'s>,
        schema: &'s Object,
        items: &[Json],
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        if let Some(want) = count_of(schema, "minItems").filter(|n| items.len() < *n) {
            findings.add(FindingKind::Limit {
                keyword: "minItems",
                got: items.len(),
                want,
            });
        }
        if let Some(want) = count_of(schema, "maxItems").filter(|n| items.len() > *n) {
            findings.add(FindingKind::Limit {
                keyword: "maxItems",
                got: items.len(),
                want,
            });
        }
        if schema.get("uniqueItems") == Some(&Json::Bool(true))
            && let Some((a, b)) = self.duplicates(items)?
        {
            findings.add(FindingKind::UniqueItems(a, b));
        }
        let (first, rest) = if at.draft < Draft::D2020 {
            (schema.get("items"), schema.get("additionalItems"))
        } else {
            (schema.get("prefixItems"), schema.get("items"))
        };
        let mut evaluated = 0;
        match first {
            Some(Json::Array(schemas)) => {
                evaluated = items.len().min(schemas.len());
                for (i, (item, one)) in items.iter().zip(schemas).enumerate() {
                    let next = self.below(at, one);
                    let outcome = self.part(&next, item, i.to_string(), "items");
                    findings.take(outcome)?;
                }
            }
            Some(one) if at.draft < Draft::D2020 => {
                let next = self.below(at, one);
                for (i, item) in items.iter().enumerate() {
                    let outcome = self.part(&next, item, i.to_string(), "items");
                    findings.take(outcome)?;
                }
                evaluated = items.len();
            }
            _ => {}
        }
        match rest {
            None => {}
            Some(Json::Bool(false)) if at.draft < Draft::D2020 && evaluated < items.len() => {
                findings.add(FindingKind::AdditionalItems(items.len() - evaluated));
            }
            Some(one) => {
                let next = self.below(at, one);
                // The original counts these from nought; so do we.
                for (i, item) in items[evaluated..].iter().enumerate() {
                    let outcome = self.part(&next, item, i.to_string(), "items");
                    findings.take(outcome)?;
                }
                evaluated = items.len();
            }
        }
        findings.seen.items.extend(0..evaluated);
        if at.draft > Draft::D4 {
            self.contains(at, schema, items, findings)?;
        }
        Ok(())
    }

    fn contains(
        &mut self,
        at: &At<'s>,
        schema: &'s Object,
        items: &[Json],
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        let Some(wanted) = schema.get("contains") else {
            return Ok(());
        };
        let next = self.below(at, wanted);
        let mut failed = Vec::new();
        let mut matched = Vec::new();
        for (i, item) in items.iter().enumerate() {
            match failure(self.part(&next, item, i.to_string(), "contains"))? {
                Ok(_) => {
                    matched.push(i);
                    if at.draft == Draft::D2020 {
                        findings.seen.items.insert(i);
                    }
                }
                Err(finding) => failed.push(finding),
            }
        }
        let counted = at.draft >= Draft::D2019;
        match count_of(schema, "minContains").filter(|_| counted) {
            Some(want) if matched.len() < want => {
                let matched = matched.clone();
                findings.add_with(FindingKind::MinContains { matched, want }, failed);
            }
            None if matched.is_empty() => findings.add_with(FindingKind::Contains, failed),
            _ => {}
        }
        if let Some(want) =
            count_of(schema, "maxContains").filter(|n| counted && matched.len() > *n)
        {
            findings.add(FindingKind::MaxContains { matched, want });
        }
        Ok(())
    }

    fn duplicates(&mut self, items: &[Json]) -> Result<Option<(usize, usize)>, Stop> {
        for (i, a) in items.iter().enumerate() {
            self.steps += (items.len() - i) as u64;
            if self.steps > self.max_steps {
                return Err(Stop::Broken(format!(
                    "schema validation stopped after {} steps",
                    self.max_steps
                )));
            }
            for (j, b) in items.iter().enumerate().skip(i + 1) {
                if equal(a, b) {
                    return Ok(Some((i, j)));
                }
            }
        }
        Ok(None)
    }
}
