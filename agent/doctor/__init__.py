"""Why a host does not collect or deliver: looks at everything that must be as it should, and says what to do."""
