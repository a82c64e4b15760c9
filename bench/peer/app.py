"""What our server is measured against: two of its routes on FastAPI, SQLAlchemy and asyncpg.

It reads the same rows of the same PostgreSQL and gives the same answers (the benchmark compares them field by
field), in the way such a service is usually written: one asynchronous session a request, mapped classes, related
rows loaded with the operation, and a conditional UPDATE whose refusal is explained by a second read. What would
only cost it time is left out: no response model validates what we made ourselves, nothing is logged, and the pool
has a connection for every request that can be served at once.
"""

import json
import os

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import BigInteger, Column, ForeignKey, Text, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base, foreign, relationship, sessionmaker

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=16, max_overflow=0)
Session = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
Base = declarative_base()
app = FastAPI()


class Checkpoint(Base):
    __tablename__ = "checkpoints"
    __table_args__ = {"schema": "ktrdr"}
    operation_id = Column(Text, ForeignKey("ktrdr.operations.operation_id"), primary_key=True)
    attempt = Column(BigInteger, primary_key=True)
    sequence = Column(BigInteger, primary_key=True)
    parent_attempt = Column(BigInteger)
    parent_sequence = Column(BigInteger)
    checkpoint_type = Column(Text)
    epoch = Column(BigInteger)
    start_epoch = Column(BigInteger)
    start_batch = Column(BigInteger)
    global_step = Column(BigInteger)
    created_at = Column(Text)
    size_bytes = Column(BigInteger)
    manifest_digest = Column(Text)


class Epoch(Base):
    __tablename__ = "epochs"
    __table_args__ = {"schema": "ktrdr"}
    operation_id = Column(Text, ForeignKey("ktrdr.operations.operation_id"), primary_key=True)
    epoch = Column(BigInteger, primary_key=True)
    metrics = Column(Text)


class Warning(Base):
    __tablename__ = "warnings"
    __table_args__ = {"schema": "ktrdr"}
    operation_id = Column(Text, ForeignKey("ktrdr.operations.operation_id"), primary_key=True)
    position = Column(BigInteger, primary_key=True)
    message = Column(Text)


class Operation(Base):
    __tablename__ = "operations"
    __table_args__ = {"schema": "ktrdr"}
    operation_id = Column(Text, primary_key=True)
    parent_operation_id = Column(Text)
    operation_type = Column(Text)
    status = Column(Text)
    phase = Column(Text)
    attempt = Column(BigInteger)
    version = Column(BigInteger)
    owner = Column(Text)
    owner_name = Column(Text)
    heartbeat_sequence = Column(BigInteger)
    last_heartbeat_at = Column(Text)
    created_at = Column(Text)
    started_at = Column(Text)
    completed_at = Column(Text)
    metadata_json = Column("metadata", Text)
    progress = Column(Text)
    error_message = Column(Text)
    result = Column(Text)
    cancel_requested = Column(BigInteger)
    cancel_reason = Column(Text)
    ended_by = Column(Text)
    is_backend_local = Column(BigInteger)
    checkpoint_attempt = Column(BigInteger)
    checkpoint_sequence = Column(BigInteger)
    checkpoint = relationship(
        Checkpoint,
        primaryjoin=lambda: and_(
            foreign(Operation.operation_id) == Checkpoint.operation_id,
            foreign(Operation.checkpoint_attempt) == Checkpoint.attempt,
            foreign(Operation.checkpoint_sequence) == Checkpoint.sequence,
        ),
        lazy="joined",
        uselist=False,
        viewonly=True,
    )
    warnings = relationship(Warning, order_by=Warning.position, lazy="selectin", viewonly=True)
    epochs = relationship(Epoch, order_by=Epoch.epoch, lazy="selectin", viewonly=True)


def checkpoint_fields(checkpoint):
    if checkpoint is None:
        return None
    return {
        "ref": f"{checkpoint.attempt}-{checkpoint.sequence}",
        "parent": None
        if checkpoint.parent_attempt is None
        else f"{checkpoint.parent_attempt}-{checkpoint.parent_sequence}",
        "checkpoint_type": checkpoint.checkpoint_type,
        "epoch": checkpoint.epoch,
        "start_epoch": checkpoint.start_epoch,
        "start_batch": checkpoint.start_batch,
        "global_step": checkpoint.global_step,
        "created_at": checkpoint.created_at,
        "size_bytes": checkpoint.size_bytes,
        "manifest_digest": checkpoint.manifest_digest,
    }


def operation_fields(operation):
    return {
        "operation_id": operation.operation_id,
        "parent_operation_id": operation.parent_operation_id,
        "operation_type": operation.operation_type,
        "status": operation.status,
        "phase": operation.phase,
        "attempt": operation.attempt,
        "version": operation.version,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "completed_at": operation.completed_at,
        "progress": json.loads(operation.progress),
        "metadata": json.loads(operation.metadata_json),
        "error_message": operation.error_message,
        "warnings": [warning.message for warning in operation.warnings],
        "errors": [],
        "result_summary": json.loads(operation.result) if operation.result else None,
        "metrics": {"epochs": [json.loads(epoch.metrics) for epoch in operation.epochs]} if operation.epochs else None,
        "is_backend_local": operation.is_backend_local == 1,
        "cancel_requested": operation.cancel_requested == 1,
        "worker_id": operation.owner,
        "worker_name": operation.owner_name or None,
        "last_heartbeat_at": operation.last_heartbeat_at,
        "checkpoint": checkpoint_fields(operation.checkpoint),
    }


def refusal(status, code, message):
    error = {"code": code, "message": message, "details": {}}
    return JSONResponse({"success": False, "detail": message, "error": error}, status)


def unknown(operation_id):
    return refusal(404, "NOT_FOUND", f"There is no operation {operation_id}.")


async def session():
    async with Session() as open_session:
        yield open_session


@app.get("/api/v1/operations/{operation_id}")
async def show(operation_id: str, session: AsyncSession = Depends(session)):
    operation = await session.get(Operation, operation_id)
    if operation is None:
        return unknown(operation_id)
    return JSONResponse({"success": True, "data": operation_fields(operation)})


@app.post("/api/v1/operations/{operation_id}/resume")
async def resume(operation_id: str, session: AsyncSession = Depends(session)):
    resumed = await session.execute(
        update(Operation)
        .where(
            Operation.operation_id == operation_id,
            Operation.status.in_(("cancelled", "failed")),
            Operation.checkpoint_sequence.is_not(None),
        )
        .values(
            status="running",
            phase="queued",
            attempt=Operation.attempt + 1,
            version=Operation.version + 1,
            started_at=func.to_char(func.now(), "YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\""),
            completed_at=None,
            error_message=None,
            owner=None,
            owner_name="",
            heartbeat_sequence=0,
            last_heartbeat_at=None,
            cancel_requested=0,
            cancel_reason="",
            ended_by="",
        )
        .execution_options(synchronize_session=False)
    )
    if resumed.rowcount == 1:
        await session.commit()
        return {"success": True, "data": {"operation_id": operation_id, "status": "running"}}
    status = (await session.execute(select(Operation.status).where(Operation.operation_id == operation_id))).scalar()
    if status is None:
        return unknown(operation_id)
    return refusal(409, "CONFLICT", f"Operation {operation_id} is already {status}.")
