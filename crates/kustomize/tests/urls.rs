//! Which texts name repositories, and what of them.

use sluice_kustomize::RepoSpec;

/// Clone URL, path in the repository, revision, seconds, submodules.
type Parts<'a> = (&'a str, &'a str, &'a str, u64, bool);

#[test]
fn repositories_are_told_from_paths() {
    let table: [(&str, Parts<'_>); 17] = [
        (
            "https://github.com/org/repo",
            ("https://github.com/org/repo", "", "", 27, true),
        ),
        (
            "https://github.com/org/repo/a/b?ref=v1",
            ("https://github.com/org/repo", "a/b", "v1", 27, true),
        ),
        (
            "github.com/org/repo//a/b?version=v2",
            ("https://github.com/org/repo", "a/b", "v2", 27, true),
        ),
        (
            "github.com:org/repo.git/a",
            ("https://github.com/org/repo.git", "a", "", 27, true),
        ),
        (
            "GITHUB.com/org/repo",
            ("https://github.com/org/repo", "", "", 27, true),
        ),
        (
            "git@github.com:org/repo",
            ("git@github.com:org/repo", "", "", 27, true),
        ),
        (
            "ssh://git@github.com/org/repo",
            ("git@github.com:org/repo", "", "", 27, true),
        ),
        (
            "git::https://gitlab.com/org/repo.git//deploy",
            ("https://gitlab.com/org/repo.git", "deploy", "", 27, true),
        ),
        (
            "git@host.example:team/group/repo.git//x",
            ("git@host.example:team/group/repo.git", "x", "", 27, true),
        ),
        (
            "ssh://git@host.example:7999/team/repo.git",
            (
                "ssh://git@host.example:7999/team/repo.git",
                "",
                "",
                27,
                true,
            ),
        ),
        (
            "https://dev.azure.com/org/project/_git/repo/a?ref=main",
            (
                "https://dev.azure.com/org/project/_git/repo",
                "a",
                "main",
                27,
                true,
            ),
        ),
        (
            "file:///srv/repo//a?ref=x&version=y",
            ("file:///srv/repo", "a", "x", 27, true),
        ),
        ("file:///srv/a/b", ("file:///srv/a/b", "", "", 27, true)),
        (
            "https://h.example/o/r?timeout=90",
            ("https://h.example/o/r", "", "", 90, true),
        ),
        (
            "https://h.example/o/r?timeout=1m30s&submodules=false",
            ("https://h.example/o/r", "", "", 90, false),
        ),
        (
            "https://h.example/o/r?timeout=-1&submodules=perhaps",
            ("https://h.example/o/r", "", "", 27, true),
        ),
        (
            "https://h.example/o/r//a/../b/",
            ("https://h.example/o/r", "b", "", 27, true),
        ),
    ];
    for (text, parts) in table {
        let spec = RepoSpec::parse(text)
            .unwrap_or_else(|| panic!("`{text}` is a repository"))
            .unwrap_or_else(|error| panic!("`{text}`: {error}"));
        let url = spec.clone_url();
        let own = (
            url.as_str(),
            spec.path.as_str(),
            spec.revision.as_str(),
            spec.timeout_seconds,
            spec.submodules,
        );
        assert_eq!(own, parts, "{text}");
    }
}

#[test]
fn other_texts_are_paths() {
    for text in [
        "",
        ".",
        "../base",
        "base",
        "a.yaml",
        "/srv/repo",
        "github.com",
        "host.example/org/repo",
        "https://host.example",
        "https://host.example/org",
        "C:/repo",
    ] {
        assert_eq!(RepoSpec::parse(text), None, "{text}");
    }
}

#[test]
fn paths_out_of_a_repository_are_refused() {
    for text in [
        "https://github.com/org/repo//..",
        "https://github.com/org/repo//a/../../b?ref=x",
    ] {
        let error = RepoSpec::parse(text).expect("a repository").unwrap_err();
        assert!(error.contains("url path exits repo"), "{error}");
    }
}
