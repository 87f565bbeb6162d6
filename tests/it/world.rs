//! A small city that runs in the test, and a hub that knows how to reach it.

use huiliu_city::{CityOptions, RunningCity};

use crate::hub::{Done, Hub};

/// A credential that opens nothing.
pub(crate) const WRONG: &str = "wrong-secret-0123456789";

/// One `NAME=value` line of a file in the data folder.
#[derive(Clone)]
struct Reference {
    file: &'static str,
    name: String,
    value: String,
}

/// A city and a hub beside it.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) city: RunningCity,
    references: Vec<Reference>,
}

impl World {
    /// The city of `seed`, small; the hub has read nothing yet.
    pub(crate) async fn new(seed: u64) -> Self {
        let hub = Hub::edited();
        let folder = hub.city();
        std::fs::create_dir_all(&folder).unwrap();
        huiliu_city::generate(&folder, &CityOptions { seed, scale: 0.02 }).await.unwrap();
        let city = huiliu_city::start(&folder).await.unwrap();
        let mut references = vec![Reference {
            file: "env",
            name: "CITY_FOLDER".to_owned(),
            value: folder.display().to_string(),
        }];
        for (name, url) in city.by_name() {
            let name = format!("{}_URL", name.to_uppercase());
            references.push(Reference { file: "env", name, value: url.to_owned() });
        }
        for (name, value) in huiliu_city::credentials(&folder).unwrap().by_name() {
            references.push(Reference { file: "secrets", name: name.to_owned(), value });
        }
        let world = Self { hub, city, references };
        world.mend();
        world
    }

    /// Another value for one reference, or none; all others as they should be.
    pub(crate) fn set(&self, name: &str, value: Option<&str>) {
        let mut references = self.references.clone();
        match value {
            None => references.retain(|reference| reference.name != name),
            Some(value) => {
                let found = references.iter_mut().find(|reference| reference.name == name);
                value.clone_into(&mut found.unwrap().value);
            }
        }
        self.write(&references);
    }

    /// All references as they should be.
    pub(crate) fn mend(&self) {
        self.write(&self.references);
    }

    fn write(&self, references: &[Reference]) {
        for file in ["env", "secrets"] {
            let lines: Vec<String> = references
                .iter()
                .filter(|reference| reference.file == file)
                .map(|reference| format!("{}={}\n", reference.name, reference.value))
                .collect();
            std::fs::write(self.hub.data().join(file), lines.concat()).unwrap();
        }
    }

    /// Runs the program and makes sure that no secret is in what it says.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        let done = self.hub.run(arguments);
        for reference in self.references.iter().filter(|reference| reference.file == "secrets") {
            assert!(!done.said().contains(&reference.value), "{} was printed", reference.name);
        }
        assert!(!done.said().contains(WRONG), "a secret was printed");
        done
    }
}
