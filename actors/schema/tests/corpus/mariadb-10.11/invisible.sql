CREATE TABLE `invisible` (
  `a` int(11) NOT NULL,
  `b` int(11) INVISIBLE DEFAULT 5,
  `c` int(11) INVISIBLE DEFAULT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
