//! Data sources.

use std::time::Instant;

use oms_core::{Failure, codes};
use oms_meta::{MetaCommand, MetaState};
use oms_mysql::connection::Secret;
use oms_proto::{
    meta::{CreateDataSource, DataSourceRecord, DeleteDataSource, UpdateDataSource},
    v1::{
        Connection, CopyDataSourceRequest, CreateDataSourceRequest, DataSource, DataSourceKind,
        DeleteDataSourceRequest, DeleteDataSourceResponse, GetDataSourceRequest, ListDataSourcesRequest,
        ListDataSourcesResponse, TestDataSourceRequest, TestDataSourceResponse, UpdateDataSourceRequest,
        data_source_service_server::DataSourceService,
    },
};
use oms_types::DataSourceId;
use tonic::{Request, Response, Status};

use super::{Backend, status};
use crate::connectors::{Connector, try_connection};

/// The data-source service.
pub(crate) struct DataSources(pub(crate) Backend);

impl DataSources {
    async fn stored(&self, name: &str) -> Result<DataSource, Failure> {
        let state = self.0.metadata.latest().await?;
        find(&state, name)
    }

    /// Tests and stores a new data source.
    async fn create(
        &self,
        name: String,
        connection: Connection,
        password: Secret,
        remarks: String,
        region: String,
    ) -> Result<DataSource, Failure> {
        let state = self.0.metadata.latest().await?;
        if state.data_source(&name).is_some() {
            return Err(Failure::new(
                codes::api::ALREADY_EXISTS,
                format!("data source {name:?} exists"),
            ));
        }
        if remarks.chars().count() > 128 {
            return Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                "remarks have at most 128 characters",
            ));
        }
        let facts = try_connection(&connection, password.clone()).await?;
        let id = new_id()?;
        let public = DataSource {
            id: id.to_string(),
            name: name.clone(),
            connection: Some(connection),
            remarks,
            region: if region.is_empty() {
                "default".to_owned()
            } else {
                region
            },
            facts: Some(facts),
            ..Default::default()
        };
        let sealed_password = self.0.vault.seal(id.as_str(), &password)?;
        let record = DataSourceRecord {
            public: Some(public),
            sealed_password,
        };
        let body = MetaCommand::CreateDataSource(CreateDataSource { record: Some(record) });
        self.0.metadata.propose(body).await?;
        self.stored(id.as_str()).await
    }

    async fn update(&self, request: UpdateDataSourceRequest) -> Result<DataSource, Failure> {
        let state = self.0.metadata.latest().await?;
        let Connector {
            mut data_source,
            endpoint: old,
        } = Connector::of(&state, &self.0.vault, &request.name)?;
        let password = request.password.map_or(old.password, Secret::new);
        let mut connection = data_source.connection.clone().unwrap_or_default();
        let replace = |slot: &mut String, new: Option<String>| {
            if let Some(new) = new {
                *slot = new;
            }
        };
        replace(&mut connection.host, request.host);
        replace(&mut connection.user, request.user);
        replace(&mut connection.tls_ca_pem, request.tls_ca_pem);
        replace(&mut data_source.remarks, request.remarks);
        if let Some(port) = request.port {
            connection.port = port;
        }
        if let Some(tls) = request.tls {
            connection.tls = tls;
        }
        if let Some(sasl) = request.sasl {
            connection.sasl = sasl;
        }
        data_source.facts = Some(try_connection(&connection, password.clone()).await?);
        data_source.connection = Some(connection);
        let sealed_password = self.0.vault.seal(&data_source.id, &password)?;
        let id = data_source.id.clone();
        let record = DataSourceRecord {
            public: Some(data_source),
            sealed_password,
        };
        let body = MetaCommand::UpdateDataSource(UpdateDataSource {
            record: Some(record),
            expected_version: request.version,
        });
        self.0.metadata.propose(body).await?;
        self.stored(&id).await
    }
}

/// A data source by name or id, without its password.
pub(crate) fn find(state: &MetaState, name: &str) -> Result<DataSource, Failure> {
    state
        .data_source(name)
        .and_then(|r| r.public.clone())
        .ok_or_else(|| {
            Failure::new(
                codes::api::NOT_FOUND,
                format!("data source {name:?} does not exist"),
            )
        })
}

fn new_id() -> Result<DataSourceId, Failure> {
    let random = uuid::Uuid::now_v7().simple().to_string();
    DataSourceId::from_suffix(&random).map_err(|e| Failure::new(codes::api::INTERNAL, e.to_string()))
}

#[tonic::async_trait]
impl DataSourceService for DataSources {
    async fn create_data_source(
        &self,
        request: Request<CreateDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        let r = request.into_inner();
        let connection = r.connection.unwrap_or_default();
        let created = self
            .create(r.name, connection, Secret::new(r.password), r.remarks, r.region)
            .await;
        created.map(Response::new).map_err(status)
    }

    async fn test_data_source(
        &self,
        request: Request<TestDataSourceRequest>,
    ) -> Result<Response<TestDataSourceResponse>, Status> {
        let r = request.into_inner();
        let began = Instant::now();
        let work = async {
            let (connection, password) = match r.connection {
                Some(connection) => (connection, Secret::new(r.password)),
                None => {
                    let state = self.0.metadata.latest().await?;
                    let connector = Connector::of(&state, &self.0.vault, &r.name)?;
                    let connection = connector.data_source.connection.unwrap_or_default();
                    (connection, connector.endpoint.password)
                }
            };
            try_connection(&connection, password).await
        };
        let facts = work.await.map_err(status)?;
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(TestDataSourceResponse {
            facts: Some(facts),
            elapsed_ms,
        }))
    }

    async fn list_data_sources(
        &self,
        request: Request<ListDataSourcesRequest>,
    ) -> Result<Response<ListDataSourcesResponse>, Status> {
        let r = request.into_inner();
        let state = self.0.metadata.latest().await.map_err(status)?;
        let kind = r.kind();
        let data_sources = state
            .data_sources()
            .filter_map(|d| d.public.clone())
            .filter(|d| d.name.contains(&r.name_contains))
            .filter(|d| {
                kind == DataSourceKind::Unspecified || d.connection.as_ref().is_some_and(|c| c.kind() == kind)
            })
            .collect();
        Ok(Response::new(ListDataSourcesResponse { data_sources }))
    }

    async fn get_data_source(
        &self,
        request: Request<GetDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        self.stored(&request.into_inner().name)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn update_data_source(
        &self,
        request: Request<UpdateDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        self.update(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn copy_data_source(
        &self,
        request: Request<CopyDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        let r = request.into_inner();
        let state = self.0.metadata.latest().await.map_err(status)?;
        let Connector {
            data_source,
            endpoint,
        } = Connector::of(&state, &self.0.vault, &r.name).map_err(status)?;
        let connection = data_source.connection.unwrap_or_default();
        let copied = self
            .create(
                r.new_name,
                connection,
                endpoint.password,
                data_source.remarks,
                data_source.region,
            )
            .await;
        copied.map(Response::new).map_err(status)
    }

    async fn delete_data_source(
        &self,
        request: Request<DeleteDataSourceRequest>,
    ) -> Result<Response<DeleteDataSourceResponse>, Status> {
        let found = self.stored(&request.into_inner().name).await.map_err(status)?;
        let body = MetaCommand::DeleteDataSource(DeleteDataSource { id: found.id });
        self.0.metadata.propose(body).await.map_err(status)?;
        Ok(Response::new(DeleteDataSourceResponse {}))
    }
}
