"""The progress of a long job, for everybody who looks. On asyncio and on trio."""
