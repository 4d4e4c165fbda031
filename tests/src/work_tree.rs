//! Repositories to commit to.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A work tree that a scenario commits to.
#[derive(Debug, Clone)]
pub struct WorkTree {
    folder: PathBuf,
}

impl WorkTree {
    /// A copy of the example fleet, as one commit.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn example(folder: &Path) -> anyhow::Result<Self> {
        sluice::up::example::lay_out(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// A repository with these files as its first commit, on branch `main`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn with(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main");
        git2::Repository::init_opts(folder, &options)?;
        let tree = Self {
            folder: folder.to_owned(),
        };
        tree.commit("first", files, &[])?;
        Ok(tree)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The text of a file.
    ///
    /// # Errors
    /// There is no such file.
    pub fn read(&self, name: &str) -> anyhow::Result<String> {
        std::fs::read_to_string(self.folder.join(name)).with_context(|| name.to_owned())
    }

    /// Makes a Git server that serves the repositories below `root` serve this one as `NAME.git`.
    ///
    /// # Errors
    /// There is one of that name.
    pub fn serve_below(&self, root: &Path, name: &str) -> anyhow::Result<()> {
        std::fs::create_dir_all(root)?;
        std::os::unix::fs::symlink(self.folder.join(".git"), root.join(format!("{name}.git")))?;
        Ok(())
    }

    /// Starts a branch at the newest commit, without moving to it. Returns its revision.
    ///
    /// # Errors
    /// There is one of that name.
    pub fn branch(&self, name: &str) -> anyhow::Result<String> {
        let repository = git2::Repository::open(&self.folder)?;
        let head = repository.head()?.peel_to_commit()?;
        repository.branch(name, &head, false)?;
        Ok(format!("{name}@sha1:{}", head.id()))
    }

    /// Writes and deletes files and commits that. Returns the revision as the artifact has it.
    ///
    /// # Errors
    /// The folder cannot be written or there is no such file to delete.
    pub fn commit(
        &self,
        message: &str,
        write: &[(&str, &str)],
        delete: &[&str],
    ) -> anyhow::Result<String> {
        for (name, text) in write {
            let file = self.folder.join(name);
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(file, text)?;
        }
        for name in delete {
            std::fs::remove_file(self.folder.join(name)).with_context(|| (*name).to_owned())?;
        }
        let repository = git2::Repository::open(&self.folder)?;
        let mut index = repository.index()?;
        index.add_all(["."], git2::IndexAddOption::DEFAULT, None)?;
        index.update_all(["."], None)?;
        index.write()?;
        let tree = index.write_tree()?;
        commit_tree(&repository, message, tree)
    }

    /// Commits the newest tree with one more file, whose object is already in the object store.
    ///
    /// # Errors
    /// The repository cannot be written.
    pub fn commit_object(&self, name: &str, object: git2::Oid) -> anyhow::Result<String> {
        let repository = git2::Repository::open(&self.folder)?;
        let newest = repository.head()?.peel_to_tree()?;
        let mut builder = repository.treebuilder(Some(&newest))?;
        builder.insert(name, object, 0o100_644)?;
        commit_tree(&repository, "an object", builder.write()?)
    }

    /// Makes an earlier revision the newest commit's content again. Returns the new revision.
    ///
    /// # Errors
    /// There is no such revision.
    pub fn revert_to(&self, revision: &str) -> anyhow::Result<String> {
        let (_, id) = revision.rsplit_once(':').context("a revision")?;
        let repository = git2::Repository::open(&self.folder)?;
        let earlier = repository.find_commit(git2::Oid::from_str(id)?)?;
        let mut checkout = git2::build::CheckoutBuilder::new();
        checkout.force().remove_untracked(true);
        repository.checkout_tree(earlier.as_object(), Some(&mut checkout))?;
        commit_tree(&repository, "as it was", earlier.tree_id())
    }
}

fn commit_tree(
    repository: &git2::Repository,
    message: &str,
    tree: git2::Oid,
) -> anyhow::Result<String> {
    let tree = repository.find_tree(tree)?;
    let author = git2::Signature::now("Test", "test@example.test")?;
    let parent = repository.head().ok().and_then(|h| h.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    let id = repository.commit(Some("HEAD"), &author, &author, message, &tree, &parents)?;
    Ok(format!("main@sha1:{id}"))
}
