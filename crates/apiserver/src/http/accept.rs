//! Which representation a client wants.

/// The form of the objects in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As they are.
    Whole,
    /// `meta.k8s.io` Table.
    Table,
    /// `meta.k8s.io` PartialObjectMetadata or its list.
    Metadata,
}

/// The encoding of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What the answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Representation {
    /// Form.
    pub shape: Shape,
    /// Encoding.
    pub encoding: Encoding,
}

/// One range of an Accept header with its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range<'a> {
    /// `type/subtype`.
    pub media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: u16,
}

impl<'a> Range<'a> {
    /// The value of a parameter, or the empty text.
    pub fn parameter(&self, name: &str) -> &'a str {
        self.parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }
}

/// The ranges of an Accept header, the most wanted first.
pub fn ranges(accept: &str) -> Vec<Range<'_>> {
    let read = |text| {
        let mut parts = str::split(text, ';').map(str::trim);
        let mut range = Range {
            media: parts.next().unwrap_or_default(),
            quality: 1000,
            ..Range::default()
        };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            if key == "q" {
                range.quality =
                    (value.parse::<f32>().unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u16;
            } else {
                range.parameters.push((key.trim(), value.trim()));
            }
        }
        range
    };
    let mut all: Vec<Range<'_>> = accept
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(read)
        .collect();
    all.sort_by_key(|range| std::cmp::Reverse(range.quality));
    all
}

/// What to answer a request for objects with. None where nothing fits.
///
/// Protobuf is not spoken: a client that asks for it asks for JSON as well.
pub fn negotiate(accept: Option<&str>) -> Option<Representation> {
    let plain = Representation {
        shape: Shape::Whole,
        encoding: Encoding::Json,
    };
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return Some(plain);
    };
    ranges(accept).iter().find_map(|range| {
        let encoding = match range.media {
            "application/json" | "*/*" | "application/*" => Encoding::Json,
            "application/yaml" => Encoding::Yaml,
            _ => return None,
        };
        let version = matches!(range.parameter("v"), "v1" | "v1beta1");
        let shape = match (range.parameter("as"), range.parameter("g")) {
            ("", _) => Shape::Whole,
            ("Table", "meta.k8s.io") if version => Shape::Table,
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io") if version => {
                Shape::Metadata
            }
            _ => return None,
        };
        Some(Representation { shape, encoding })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_every_kind_are_understood() {
        let shape =
            |accept: &str| negotiate(Some(accept)).map(|found| (found.shape, found.encoding));
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(shape(kubectl), Some((Shape::Table, Encoding::Json)));
        let controller = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(shape(controller), Some((Shape::Whole, Encoding::Json)));
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        assert_eq!(shape(metadata), Some((Shape::Metadata, Encoding::Json)));
        assert_eq!(
            shape("application/yaml"),
            Some((Shape::Whole, Encoding::Yaml))
        );
        assert_eq!(
            shape("application/yaml;q=0.5, */*;q=0.8"),
            Some((Shape::Whole, Encoding::Json))
        );
        assert_eq!(shape("text/html"), None);
        assert_eq!(negotiate(None).unwrap().shape, Shape::Whole);
    }
}
