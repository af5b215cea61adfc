CREATE TABLE `geo` (
  `id` int NOT NULL,
  `g` geometry DEFAULT NULL,
  `p` point NOT NULL,
  `l` linestring DEFAULT NULL,
  `y` polygon DEFAULT NULL,
  `mp` multipoint DEFAULT NULL,
  `gc` geomcollection DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
