//! What the store sells: products, their names by language, their SKUs and packages. Not here: what of it is owned.

use super::orders::DeskRefusal;
use super::{Market, PRODUCTS_MAX, ProductKey};
use serde::{Deserialize, Serialize};

const SKUS_MAX: usize = 50;
const PACKAGES_MAX: usize = 50;
const LANGUAGES_MAX: usize = 100;
const DESCRIPTION_CHARS_MAX: usize = 10_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    pub product_id: String,
    #[serde(default = "application")]
    pub product_type: String,
    #[serde(default)]
    pub publisher_id: String,
    #[serde(default)]
    pub category: String,
    #[serde(default)]
    pub package_family_name: String,
    #[serde(default)]
    pub alternate_ids: Vec<AlternateId>,
    /// By language as `en-US`; the first language is the one that is fallen back to.
    pub names: Vec<Localized>,
    pub skus: Vec<Sku>,
}

fn application() -> String {
    "Application".into()
}

/// `kind` is one of LegacyWindowStoreProductId, LegacyWindowsPhoneProductId, RedirectToThresholdProductId.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlternateId {
    pub kind: String,
    pub value: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Localized {
    pub language: String,
    pub display_name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub publisher_name: String,
}

/// SKUs of one product are stocks apart, by where they were bought.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sku {
    pub sku_id: String,
    /// Products that share it are a related set.
    #[serde(default)]
    pub package_set_id: Option<String>,
    #[serde(default)]
    pub packages: Vec<Package>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub package_id: String,
    pub content_id: String,
    pub full_name: String,
    pub identity_name: String,
    #[serde(default)]
    pub architectures: Vec<String>,
    #[serde(default)]
    pub is_bundle: bool,
    /// Its format and its file are then those of an encrypted package, which no tool can carry off.
    #[serde(default)]
    pub is_encrypted: bool,
    #[serde(default)]
    pub file_bytes: i64,
    #[serde(default)]
    pub rank: Option<i32>,
    #[serde(default)]
    pub frameworks: Vec<Package>,
}

impl Product {
    /// One SKU with one package of a plain kind, and a name in English.
    #[must_use]
    pub fn plain(product_id: &str, sku_id: &str, name: &str) -> Self {
        Self {
            product_id: product_id.into(),
            product_type: application(),
            publisher_id: "CN=Contoso".into(),
            category: "Productivity".into(),
            package_family_name: format!("Contoso.{product_id}_8wekyb3d8bbwe"),
            alternate_ids: Vec::new(),
            names: vec![Localized {
                language: "en-US".into(),
                display_name: name.into(),
                description: format!("{name}, as it is sold"),
                publisher_name: "Contoso".into(),
            }],
            skus: vec![Sku {
                sku_id: sku_id.into(),
                package_set_id: None,
                packages: vec![Package::plain(product_id, "neutral")],
            }],
        }
    }

    #[must_use]
    pub fn sku(&self, sku_id: &str) -> Option<&Sku> {
        self.skus.iter().find(|sku| sku.sku_id == sku_id)
    }

    /// The asked language, else another of the same tongue, else the product's first.
    #[must_use]
    pub fn named(&self, language: &str) -> Option<&Localized> {
        let tongue = |tag: &str| tag.split('-').next().unwrap_or(tag).to_ascii_lowercase();
        let exact = self.names.iter().find(|name| name.language.eq_ignore_ascii_case(language));
        exact.or_else(|| self.names.iter().find(|n| tongue(&n.language) == tongue(language))).or(self.names.first())
    }

    fn fault(&self) -> Option<&'static str> {
        let packages = |list: &[Package]| list.len() <= PACKAGES_MAX;
        if !is_product_id(&self.product_id) {
            Some("a product id is 1 to 20 letters and digits")
        } else if self.names.is_empty() || self.names.len() > LANGUAGES_MAX {
            Some("a product has 1 to 100 names")
        } else if self.names.iter().any(|n| n.description.chars().count() > DESCRIPTION_CHARS_MAX) {
            Some("a description has at most 10,000 characters")
        } else if self.skus.is_empty() || self.skus.len() > SKUS_MAX {
            Some("a product has 1 to 50 SKUs")
        } else if self.skus.iter().any(|sku| !is_sku_id(&sku.sku_id)) {
            Some("a SKU id is 1 to 10 letters and digits")
        } else if !self.skus.iter().all(|s| packages(&s.packages) && s.packages.iter().all(|p| packages(&p.frameworks)))
        {
            Some("a SKU has at most 50 packages, and a package 50 frameworks")
        } else {
            None
        }
    }
}

impl Package {
    #[must_use]
    pub fn plain(product_id: &str, architecture: &str) -> Self {
        Self {
            package_id: format!("{product_id}-{architecture}"),
            content_id: format!("{product_id}-content-{architecture}"),
            full_name: format!("Contoso.{product_id}_1.0.0.0_{architecture}__8wekyb3d8bbwe"),
            identity_name: format!("Contoso.{product_id}"),
            architectures: vec![architecture.into()],
            is_bundle: true,
            is_encrypted: false,
            file_bytes: 5_000_000_000,
            rank: Some(1),
            frameworks: Vec::new(),
        }
    }
}

pub(in crate::store::simulator::microsoft) fn is_product_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

pub(in crate::store::simulator::microsoft) fn is_sku_id(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Market {
    /// Puts a product on sale, or changes what is said of it.
    ///
    /// # Errors
    /// `Wrong` when it can't be one.
    pub fn sell(&mut self, product: Product) -> Result<(), DeskRefusal> {
        if let Some(fault) = product.fault() {
            return Err(DeskRefusal::Wrong(fault));
        }
        let is_new = !self.products.contains_key(&product.product_id);
        if is_new && self.products.len() >= PRODUCTS_MAX {
            return Err(DeskRefusal::Full("products"));
        }
        if self.modified_by.details {
            let now = self.now();
            for (_, entry) in self.entries.iter_mut().filter(|(key, _)| key.product.product_id == product.product_id) {
                entry.last_modified = now;
            }
        }
        self.products.insert(product.product_id.clone(), product);
        Ok(())
    }

    #[must_use]
    pub fn product(&self, product_id: &str) -> Option<&Product> {
        self.products.get(product_id)
    }

    pub(in crate::store::simulator::microsoft) fn sku(&self, key: &ProductKey) -> Option<(&Product, &Sku)> {
        let product = self.products.get(&key.product_id)?;
        product.sku(&key.sku_id).map(|sku| (product, sku))
    }
}
