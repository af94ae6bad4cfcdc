//! Where MCP clients keep their configuration.

use std::path::{Path, PathBuf};

/// A file of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The client's short name.
    pub client: &'static str,
    /// The file.
    pub file: PathBuf,
}

/// Where a client's file is.
enum Base {
    Home,
    /// Where the system keeps settings of applications.
    Settings,
    /// The directory at hand.
    Project,
}

use Base::{Home, Project, Settings};

const FILES: [(&str, Base, &str); 12] = [
    ("claude-desktop", Settings, "Claude/claude_desktop_config.json"),
    ("claude-code", Home, ".claude.json"),
    ("claude-code", Project, ".mcp.json"),
    ("cursor", Home, ".cursor/mcp.json"),
    ("cursor", Project, ".cursor/mcp.json"),
    ("vscode", Settings, "Code/User/mcp.json"),
    ("vscode", Project, ".vscode/mcp.json"),
    ("windsurf", Home, ".codeium/windsurf/mcp_config.json"),
    ("gemini-cli", Home, ".gemini/settings.json"),
    ("gemini-cli", Project, ".gemini/settings.json"),
    ("copilot-cli", Home, ".copilot/mcp-config.json"),
    ("zed", Home, ".config/zed/settings.json"),
];

/// Every file in which a client looks, there or not. `settings` is where the system keeps the settings of
/// applications, if that is not the usual place in the home.
#[must_use]
pub fn places(home: &Path, settings: Option<&Path>, project: &Path) -> Vec<Place> {
    let usual = match cfg!(target_os = "macos") {
        true => "Library/Application Support",
        false => ".config",
    };
    let settings = settings.map_or_else(|| home.join(usual), Path::to_owned);
    let all = FILES.iter().map(|(client, base, file)| {
        let base = match base {
            Home => home,
            Settings => &settings,
            Project => project,
        };
        Place {
            client,
            file: base.join(file),
        }
    });
    let mut all: Vec<Place> = all.collect();
    // In the home itself a project's file is the user's.
    all.dedup_by(|one, other| one.file == other.file);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_its_files_once() {
        let all = places(Path::new("/h"), Some(Path::new("/s")), Path::new("/p"));
        let file = |path: &str| all.iter().filter(|place| place.file == Path::new(path)).count();
        assert_eq!(all.len(), FILES.len());
        for path in [
            "/s/Claude/claude_desktop_config.json",
            "/h/.claude.json",
            "/p/.mcp.json",
            "/p/.vscode/mcp.json",
            "/s/Code/User/mcp.json",
        ] {
            assert_eq!(file(path), 1, "{path}");
        }
        let at_home = places(Path::new("/h"), None, Path::new("/h"));
        assert_eq!(at_home.len(), FILES.len() - 2);
    }
}
