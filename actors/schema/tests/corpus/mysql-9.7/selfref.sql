CREATE TABLE `selfref` (
  `id` int NOT NULL,
  `up` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `fk_self` (`up`),
  CONSTRAINT `fk_self` FOREIGN KEY (`up`) REFERENCES `selfref` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
