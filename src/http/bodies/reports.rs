//! Reports: which there are, and what the body of one is. Not here: the rows, which are made in `audit::reports`.

use crate::audit::reports::Report;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A report that can be asked for
#[derive(Serialize, ToSchema)]
#[schema(as = ReportAbout)]
pub(in crate::http) struct ReportAboutBody {
    #[schema(example = "license-position")]
    name: &'static str,
    /// What it answers
    about: &'static str,
    parameters: Vec<ParameterBody>,
    /// The fields of a row, in the order of the columns of its CSV
    columns: Vec<ColumnBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReportParameter)]
struct ParameterBody {
    #[schema(example = "as_of")]
    name: &'static str,
    about: &'static str,
    required: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReportColumn)]
struct ColumnBody {
    name: &'static str,
    about: &'static str,
}

impl From<&'static Report> for ReportAboutBody {
    fn from(report: &'static Report) -> Self {
        let parameters = report.parameters.iter().map(|parameter| ParameterBody {
            name: parameter.asking.name(),
            about: parameter.asking.about(),
            required: parameter.is_required,
        });
        let columns = report.columns.iter().map(|column| ColumnBody { name: column.name, about: column.about });
        Self {
            name: report.name.name(),
            about: report.about,
            parameters: parameters.collect(),
            columns: columns.collect(),
        }
    }
}

/// A page of a report. A page may be short, also empty, and still have a next one
#[derive(Serialize, ToSchema)]
#[schema(as = Report)]
pub(in crate::http) struct ReportBody {
    #[schema(example = "license-position")]
    report: String,
    /// The last position that counts
    position: u64,
    /// The instant up to which what goes on is measured
    #[schema(format = DateTime)]
    until: String,
    /// One object a row, with a field for each of the report's columns; `evidence` are the positions that prove it
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// For the next page; null at the end
    #[schema(required)]
    next_cursor: Option<String>,
}
