CREATE TABLE `app_period` (
  `a` int(11) NOT NULL,
  `d1` date NOT NULL,
  `d2` date NOT NULL,
  PERIOD FOR `p` (`d1`, `d2`),
  PRIMARY KEY (`a`,`p` WITHOUT OVERLAPS)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
