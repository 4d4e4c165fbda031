//! The objects of a layer, with an index that keeps lookups from scanning.

use std::collections::HashMap;

use crate::growth::Allowance;
use crate::id::ResId;
use crate::resource::Resource;
use crate::schema::Schema;
use crate::selector::Compiled;

/// Objects in their order.
#[derive(Debug, Default)]
pub(crate) struct ResMap {
    pub resources: Vec<Resource>,
    index: Option<Index>,
    /// Some object may have nothing left.
    emptied: bool,
    /// What may still be written into objects.
    pub allowance: Allowance,
}

#[derive(Debug, Default)]
struct Index {
    /// By every id that an object has or had.
    any: HashMap<u64, Vec<usize>>,
    /// By the present id.
    current: HashMap<u64, Vec<usize>>,
    /// By every name that an object has or had.
    names: HashMap<String, Vec<usize>>,
}

impl Index {
    fn add(&mut self, at: usize, resource: &Resource, schema: &Schema) {
        let current = resource.current_id(schema);
        let key = current.key();
        self.current.entry(key).or_default().push(at);
        let mut put = |key: u64| {
            let places = self.any.entry(key).or_default();
            if places.last() != Some(&at) {
                places.push(at);
            }
        };
        for id in resource.previous_ids(schema) {
            put(id.key());
        }
        put(key);
        for id in &resource.previous {
            if id.name != current.name {
                put_name(&mut self.names, &id.name, at);
            }
        }
        put_name(&mut self.names, &current.name, at);
    }
}

/// Notes an object under a name, once.
fn put_name(names: &mut HashMap<String, Vec<usize>>, name: &str, at: usize) {
    match names.get_mut(name) {
        Some(places) if places.last() == Some(&at) => {}
        Some(places) => places.push(at),
        None => {
            names.insert(name.to_owned(), vec![at]);
        }
    }
}

impl ResMap {
    pub(crate) fn new() -> Self {
        ResMap::default()
    }

    /// Forgets the index, after ids may have changed.
    pub(crate) fn touch(&mut self) {
        self.index = None;
    }

    fn index(&mut self, schema: &Schema) -> &mut Index {
        let resources = &self.resources;
        self.index.get_or_insert_with(|| {
            let mut index = Index::default();
            for (at, resource) in resources.iter().enumerate() {
                index.add(at, resource, schema);
            }
            index
        })
    }

    /// Appends an object.
    ///
    /// # Errors
    /// Another object has its id.
    pub(crate) fn append(&mut self, resource: Resource, schema: &Schema) -> Result<(), String> {
        let id = resource.current_id(schema);
        schema.ask_scope(&id.gvk);
        if !self.with_current(&id, schema).is_empty() {
            return Err(format!(
                "may not add resource with an already registered id: {id}"
            ));
        }
        self.push(resource, schema);
        Ok(())
    }

    fn push(&mut self, resource: Resource, schema: &Schema) {
        let at = self.resources.len();
        if let Some(index) = &mut self.index {
            index.add(at, &resource, schema);
        }
        self.resources.push(resource);
    }

    /// Objects whose present id is this one.
    pub(crate) fn with_current(&mut self, id: &ResId, schema: &Schema) -> Vec<usize> {
        let found = self.index(schema).current.get(&id.key()).cloned();
        let mut found = found.unwrap_or_default();
        found.retain(|&at| {
            let resource = &self.resources[at];
            !resource.is_empty() && resource.current_id(schema) == *id
        });
        found
    }

    /// Objects that have or had this id.
    pub(crate) fn with_any(&mut self, id: &ResId, schema: &Schema) -> Vec<usize> {
        let found = self.index(schema).any.get(&id.key()).cloned();
        let mut found = found.unwrap_or_default();
        found.retain(|&at| {
            let resource = &self.resources[at];
            !resource.is_empty() && resource.all_ids(schema).contains(id)
        });
        found
    }

    /// Objects that have or had this name, in their order.
    pub(crate) fn named(&mut self, name: &str, schema: &Schema) -> Vec<usize> {
        let found = self.index(schema).names.get(name).cloned();
        let mut found = found.unwrap_or_default();
        found.retain(|&at| !self.resources[at].is_empty());
        found
    }

    /// Objects that can have a name, or all when it is not known.
    pub(crate) fn candidates(&mut self, name: Option<&str>, schema: &Schema) -> Vec<usize> {
        match name {
            Some(name) => self.named(name, schema),
            None => (0..self.resources.len())
                .filter(|&at| !self.resources[at].is_empty())
                .collect(),
        }
    }

    /// Notes what a change did to an object: nothing may be left of it, or it
    /// may have another id than before.
    pub(crate) fn changed(&mut self, at: usize, before: &ResId, schema: &Schema) {
        let resource = &self.resources[at];
        if resource.is_empty() {
            self.emptied = true;
        } else if resource.current_id(schema) != *before {
            self.touch();
        }
    }

    /// The one object that has or had this id.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(crate) fn by_id(&mut self, id: &ResId, schema: &Schema) -> Result<usize, String> {
        match self.with_any(id, schema).as_slice() {
            [one] => Ok(*one),
            [] => Err(format!(
                "no matches for Id {id}; failed to find unique target for patch {id}"
            )),
            _ => Err(format!(
                "multiple matches for Id {id}; failed to find unique target for patch {id}"
            )),
        }
    }

    /// Objects that a selector selects, in their order.
    ///
    /// # Errors
    /// The selector has a part that is none.
    pub(crate) fn select(
        &mut self,
        selector: &Compiled,
        schema: &Schema,
    ) -> Result<Vec<usize>, String> {
        let candidates = self.candidates(selector.literal_name(), schema);
        let mut selected = Vec::new();
        for at in candidates {
            if selector.selects(&self.resources[at], schema)? {
                selected.push(at);
            }
        }
        Ok(selected)
    }

    /// Drops objects of which nothing is left.
    pub(crate) fn drop_empty(&mut self) {
        if std::mem::take(&mut self.emptied) {
            self.resources.retain(|resource| !resource.is_empty());
            self.touch();
        }
    }

    /// Checks that no two objects have one id.
    ///
    /// # Errors
    /// Two have.
    pub(crate) fn check_unique(&mut self, schema: &Schema) -> Result<(), String> {
        self.touch();
        let mut seen: HashMap<u64, Vec<usize>> = HashMap::with_capacity(self.resources.len());
        for (at, resource) in self.resources.iter().enumerate() {
            if resource.is_empty() {
                continue;
            }
            let id = resource.current_id(schema);
            let places = seen.entry(id.key()).or_default();
            let same = |place: &usize| self.resources[*place].current_id(schema) == id;
            if places.iter().any(same) {
                return Err(format!(
                    "may not add resource with an already registered id: {id}"
                ));
            }
            places.push(at);
        }
        Ok(())
    }
}
