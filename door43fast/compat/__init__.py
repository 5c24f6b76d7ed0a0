"""The faces of peers: their names and meanings over a store of ours."""
