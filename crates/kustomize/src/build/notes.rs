//! What `buildMetadata` tells of the making of objects.

use super::*;

impl<'o> Builder<'o> {
    pub(crate) fn keeps_notes(&self) -> bool {
        self.wanted.any
    }

    pub(super) fn maker_of_file(
        &self,
        layer: &Layer<'o>,
        path: &str,
        file: &str,
    ) -> Option<Arc<Maker>> {
        if !self.keeps_notes() {
            return None;
        }
        let mut maker = Maker::default();
        match layer.loader.repo() {
            Some(clone) => {
                maker.repo = clone.spec.clone_url();
                maker.git_ref.clone_from(&clone.spec.revision);
                maker.path = fs::relative(&clone.dir, file);
            }
            None if path.contains("://") => maker.path = path.to_owned(),
            None => maker.path = fs::relative(&self.target_root, file),
        }
        Some(Arc::new(maker))
    }

    /// What a plugin of a layer is called in notes.
    pub(crate) fn maker_of_plugin(
        &self,
        layer: &Layer<'o>,
        configured_in: &str,
        configured_by: [String; 4],
    ) -> Arc<Maker> {
        let mut maker = Maker {
            configured_by: Some(configured_by),
            ..Maker::default()
        };
        match layer.loader.repo() {
            Some(clone) => {
                maker.repo = clone.spec.clone_url();
                maker.git_ref.clone_from(&clone.spec.revision);
                maker.configured_in = fs::relative(&clone.dir, configured_in);
            }
            None => maker.configured_in = fs::relative(&self.target_root, configured_in),
        }
        Arc::new(maker)
    }

    pub(super) fn built_in_maker(&self, layer: &Layer<'o>, kind: &str) -> Option<Arc<Maker>> {
        self.keeps_notes().then(|| {
            let by = [
                "builtin".to_owned(),
                kind.to_owned(),
                String::new(),
                String::new(),
            ];
            self.maker_of_plugin(layer, &layer.file, by)
        })
    }
}
