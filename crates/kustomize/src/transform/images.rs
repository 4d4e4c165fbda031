//! Names, tags and digests of images.

use sluice_gotemplate::regexp::Regexp;

use super::Specs;
use crate::fieldspec::{Create, walk_part};
use crate::kustomization::Image;
use crate::node::{Map, Node, Tag};
use crate::resmap::ResMap;
use crate::resource::Resource;
use crate::schema::Schema;
use crate::selector::{is_literal, regex};

/// Changes references to an image wherever containers are listed.
pub(crate) struct Images {
    image: Image,
    specs: Specs,
    pattern: Regexp,
    /// The name, when it is no pattern: a quick way to rule images out.
    literal: Option<String>,
}

impl Images {
    /// # Errors
    /// The name of the image is not a regular expression.
    pub(crate) fn new(image: &Image, specs: Specs) -> Result<Self, String> {
        for text in [
            &image.new_name,
            &image.new_tag,
            &image.tag_suffix,
            &image.digest,
        ] {
            crate::growth::check_name(text, "a part of an image")?;
        }
        let pattern = regex(&format!(
            "^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$",
            image.name
        ))?;
        Ok(Images {
            image: image.clone(),
            specs,
            pattern,
            literal: is_literal(&image.name).then(|| image.name.clone()),
        })
    }

    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        let is_exempt = |resource: &Resource| resource.kind() == "CustomResourceDefinition";
        for at in 0..objects.resources.len() {
            let resource = &mut objects.resources[at];
            if is_exempt(resource) {
                continue;
            }
            self.containers(&mut resource.root)?;
            let Err(error) = self.fields(resource, schema) else {
                continue;
            };
            // Containers of all objects come before the fields of any.
            for resource in &mut objects.resources[at + 1..] {
                if !is_exempt(resource) {
                    self.containers(&mut resource.root)?;
                }
            }
            return Err(error);
        }
        Ok(())
    }

    /// The fields that the configuration names.
    fn fields(&self, resource: &mut Resource, schema: &Schema) -> Result<(), String> {
        for (_, path) in self.specs.of(&resource.gvk()) {
            walk_part(&mut resource.root, path, Create::No, |node| {
                self.update(node)
            })
            .map_err(|problem| problem.of(path, &resource.current_id(schema)).0)?;
        }
        Ok(())
    }

    /// Lists of containers at any depth.
    fn containers(&self, map: &mut Map) -> Result<(), String> {
        for (key, value) in &mut map.pairs {
            if matches!(key.text.as_str(), "containers" | "initContainers")
                && let Node::Seq(items) = value
            {
                for item in items.iter_mut() {
                    let Node::Map(container) = item else {
                        if item.is_null() {
                            continue;
                        }
                        return Err(super::metadata::wrong_kind("MappingNode", item));
                    };
                    if let Some(image) = container.get_mut("image") {
                        self.update(image)?;
                    }
                }
            }
            self.containers_in(value)?;
        }
        Ok(())
    }

    fn containers_in(&self, node: &mut Node) -> Result<(), String> {
        match node {
            Node::Map(map) => self.containers(map),
            Node::Seq(items) => items
                .iter_mut()
                .try_for_each(|item| self.containers_in(item)),
            Node::Scalar(_) => Ok(()),
        }
    }

    fn update(&self, node: &mut Node) -> Result<(), String> {
        let Node::Scalar(scalar) = node else {
            return Err(super::metadata::wrong_kind("ScalarNode", node));
        };
        if let Some(literal) = &self.literal
            && !scalar.text.starts_with(literal.as_str())
        {
            return Ok(());
        }
        if !self.pattern.is_match(scalar.text.as_bytes()) {
            return Ok(());
        }
        scalar.text = self.renamed(&scalar.text);
        scalar.tag = Tag::Infer;
        Ok(())
    }

    fn renamed(&self, image: &str) -> String {
        let image_spec = &self.image;
        let (mut name, mut tag, mut digest) = split(image);
        if !image_spec.new_name.is_empty() {
            name = &image_spec.new_name;
        }
        let suffixed;
        if !image_spec.new_tag.is_empty() && !image_spec.digest.is_empty() {
            (tag, digest) = (&image_spec.new_tag, &image_spec.digest);
        } else if !image_spec.new_tag.is_empty() {
            (tag, digest) = (&image_spec.new_tag, "");
        } else if !image_spec.digest.is_empty() {
            (tag, digest) = ("", &image_spec.digest);
        } else if !image_spec.tag_suffix.is_empty() {
            suffixed = format!("{tag}{}", image_spec.tag_suffix);
            (tag, digest) = (&suffixed, "");
        }
        let mut out = name.to_owned();
        if !tag.is_empty() {
            out.push(':');
            out.push_str(tag);
        }
        if !digest.is_empty() {
            out.push('@');
            out.push_str(digest);
        }
        out
    }
}

/// Name, tag and digest of a reference.
fn split(image: &str) -> (&str, &str, &str) {
    let (rest, digest) = image.split_once('@').unwrap_or((image, ""));
    let from = rest.find('/').unwrap_or(0);
    match rest[from..].find(':') {
        Some(at) => (&rest[..from + at], &rest[from + at + 1..], digest),
        None => (rest, "", digest),
    }
}
