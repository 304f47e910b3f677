"""The two repositories, the vehicle and the world in memory that the test bench serves. Not public: it may change."""
